//! Messages: which fields a request may have, in which order, how long its body is, and trailers.

use nexus_tests::h2::{self, code, flag, frame, kind};

use super::Way::{Closed, Goaway, Reset, Status};
use super::{Allowed, Case, all, case, data, event, head, headers, open, post, publishing};

/// What is malformed: the stream ends, or is answered as what it is.
const MALFORMED: Allowed = &[
    Reset(code::PROTOCOL),
    Goaway(code::PROTOCOL),
    Status(400),
    Closed,
];

/// A request without a body, of these fields.
fn of(name: &str, fields: &[(&str, &str)], allowed: Allowed) -> Case {
    case(
        name,
        1,
        headers(1, flag::END_STREAM, h2::block(fields)),
        allowed,
    )
}

/// An event, with one more field.
fn with(name: &str, field: (&str, &str), allowed: Allowed) -> Case {
    case(name, 1, post(1, h2::field(field.0, field.1)), allowed)
}

/// An event, with a field of these octets.
fn octets(name: &str, field: (&[u8], &[u8]), allowed: Allowed) -> Case {
    case(name, 1, post(1, h2::field(field.0, field.1)), allowed)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = fields();
    cases.extend(of_connections());
    cases.extend(pseudo());
    cases.extend(targets());
    cases.extend(lengths());
    cases.extend(trailers());
    cases
}

fn fields() -> Vec<Case> {
    let mut cases = vec![
        with("a field", ("x-one", "1"), &[Status(202)]),
        with(
            "a field of all marks",
            ("!#$%&'*+-.^_`|~09az", "1"),
            &[Status(202)],
        ),
        with("a field of nothing", ("x-one", ""), &[Status(202)]),
        with("a cookie in two fields", ("cookie", "a=b"), &[Status(202)]),
        octets(
            "a value beyond ASCII",
            (b"x-one", b"\x80\xff"),
            &[Status(202)],
        ),
        octets("a value with a tab", (b"x-one", b"1\t2"), &[Status(202)]),
        octets("a name in capitals", (b"X-ONE", b"1"), MALFORMED),
        octets("a name with one capital", (b"x-onE", b"1"), MALFORMED),
        octets("a name of nothing", (b"", b"1"), MALFORMED),
        octets("a name with a blank", (b"x one", b"1"), MALFORMED),
        octets("a name with a colon", (b"x:one", b"1"), MALFORMED),
        octets("a name with a NUL", (b"x\0one", b"1"), MALFORMED),
        octets("a name with a CR", (b"x\rone", b"1"), MALFORMED),
        octets("a name with an LF", (b"x\none", b"1"), MALFORMED),
        octets("a name with DEL", (b"x\x7fone", b"1"), MALFORMED),
        octets("a name beyond ASCII", (b"x-\xf6ne", b"1"), MALFORMED),
        octets(
            "a name in UTF-8",
            ("x-\u{f6}ne".as_bytes(), b"1"),
            MALFORMED,
        ),
        octets("a name with a slash", (b"x/one", b"1"), MALFORMED),
        octets("a value with a CR", (b"x-one", b"1\r2"), MALFORMED),
        octets("a value with an LF", (b"x-one", b"1\n2"), MALFORMED),
        octets(
            "a value with an end of a line and a field",
            (b"x-one", b"1\r\nx-two: 2"),
            MALFORMED,
        ),
        octets("a value with a NUL", (b"x-one", b"1\x002"), MALFORMED),
        octets(
            "a value with a control octet",
            (b"x-one", b"1\x012"),
            MALFORMED,
        ),
    ];
    for (name, value) in [
        ("before", " 1"),
        ("behind", "1 "),
        ("of a tab before", "\t1"),
    ] {
        let name = format!("a value with a blank {name}");
        cases.push(with(&name, ("x-one", value), MALFORMED));
    }
    cases
}

fn of_connections() -> Vec<Case> {
    vec![
        with("connection", ("connection", "close"), MALFORMED),
        with(
            "connection: keep-alive",
            ("connection", "keep-alive"),
            MALFORMED,
        ),
        with("keep-alive", ("keep-alive", "timeout=5"), MALFORMED),
        with("proxy-connection", ("proxy-connection", "close"), MALFORMED),
        with(
            "transfer-encoding",
            ("transfer-encoding", "chunked"),
            MALFORMED,
        ),
        with(
            "transfer-encoding: identity",
            ("transfer-encoding", "identity"),
            MALFORMED,
        ),
        with("upgrade", ("upgrade", "h2c"), MALFORMED),
        with(
            "upgrade to a WebSocket",
            ("upgrade", "websocket"),
            MALFORMED,
        ),
        with("te: trailers", ("te", "trailers"), &[Status(202)]),
        with("te: gzip", ("te", "gzip"), MALFORMED),
        with(
            "te: trailers and more",
            ("te", "trailers, deflate;q=0.5"),
            MALFORMED,
        ),
        with("te of nothing", ("te", ""), MALFORMED),
    ]
}

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "hub");
const PATH: (&str, &str) = (":path", "/healthz");

fn pseudo() -> Vec<Case> {
    let plus = |name: &str, field| of(name, &[METHOD, SCHEME, AUTHORITY, PATH, field], MALFORMED);
    vec![
        of(
            "the four that there are",
            &[METHOD, SCHEME, AUTHORITY, PATH],
            &[Status(200)],
        ),
        of(
            "in another order",
            &[PATH, AUTHORITY, SCHEME, METHOD],
            &[Status(200)],
        ),
        of(
            "a host instead of an authority",
            &[METHOD, SCHEME, PATH, ("host", "hub")],
            &[Status(200)],
        ),
        of(
            "a host beside the same authority",
            &[METHOD, SCHEME, PATH, AUTHORITY, ("host", "hub")],
            &[Status(200)],
        ),
        of(
            "a host beside another authority",
            &[METHOD, SCHEME, PATH, AUTHORITY, ("host", "elsewhere")],
            MALFORMED,
        ),
        of(
            "two hosts",
            &[METHOD, SCHEME, PATH, ("host", "hub"), ("host", "elsewhere")],
            MALFORMED,
        ),
        of(
            "a host with somebody in it",
            &[METHOD, SCHEME, PATH, ("host", "me@hub")],
            MALFORMED,
        ),
        of(
            "neither",
            &[METHOD, SCHEME, PATH],
            &[
                Reset(code::PROTOCOL),
                Goaway(code::PROTOCOL),
                Status(400),
                Status(200),
            ],
        ),
        plus("one that nobody knows", (":cow", "moo")),
        plus("one of answers", (":status", "200")),
        plus("one without a name", (":", "x")),
        plus(
            "the protocol, without a CONNECT",
            (":protocol", "websocket"),
        ),
        plus("the method twice", METHOD),
        plus("two methods", (":method", "POST")),
        plus("the scheme twice", SCHEME),
        plus("the authority twice", AUTHORITY),
        plus("two authorities", (":authority", "elsewhere")),
        plus("the path twice", PATH),
        plus("two paths", (":path", "/v1/events")),
        of(
            "the method behind a field",
            &[SCHEME, AUTHORITY, PATH, ("x-one", "1"), METHOD],
            MALFORMED,
        ),
        of(
            "the path behind a field",
            &[METHOD, SCHEME, AUTHORITY, ("x-one", "1"), PATH],
            MALFORMED,
        ),
        of(
            "the authority behind a field",
            &[METHOD, SCHEME, PATH, ("x-one", "1"), AUTHORITY],
            MALFORMED,
        ),
        of("no method", &[SCHEME, AUTHORITY, PATH], MALFORMED),
        of("no scheme", &[METHOD, AUTHORITY, PATH], MALFORMED),
        of("no path", &[METHOD, SCHEME, AUTHORITY], MALFORMED),
        of("none of them", &[("x-one", "1")], MALFORMED),
        of(
            "one in capitals",
            &[(":METHOD", "GET"), SCHEME, AUTHORITY, PATH],
            MALFORMED,
        ),
    ]
}

fn targets() -> Vec<Case> {
    let path = |name: &str, path, allowed| {
        of(name, &[METHOD, SCHEME, AUTHORITY, (":path", path)], allowed)
    };
    let authority = |name: &str, authority, allowed| {
        of(
            name,
            &[METHOD, SCHEME, PATH, (":authority", authority)],
            allowed,
        )
    };
    let method = |name: &str, method, allowed| {
        of(
            name,
            &[(":method", method), SCHEME, AUTHORITY, PATH],
            allowed,
        )
    };
    let scheme = |name: &str, scheme, allowed| {
        of(
            name,
            &[METHOD, (":scheme", scheme), AUTHORITY, PATH],
            allowed,
        )
    };
    let missing: Allowed = &[
        Status(404),
        Status(400),
        Reset(code::PROTOCOL),
        Goaway(code::PROTOCOL),
    ];
    vec![
        path("a path of nothing", "", MALFORMED),
        path("a path without a slash", "healthz", MALFORMED),
        path(
            "a path that is a whole address",
            "http://hub/healthz",
            missing,
        ),
        path("an asterisk for a GET", "*", missing),
        path("a path with a blank", "/health z", MALFORMED),
        path("a path with a NUL", "/healthz\0", MALFORMED),
        path(
            "a path with an end of a line",
            "/healthz HTTP/1.1\r\nX: y",
            MALFORMED,
        ),
        path(
            "a path with a fragment",
            "/healthz#part",
            &[Status(200), Status(400), Reset(code::PROTOCOL)],
        ),
        path("a path with dots", "/v1/../healthz", missing),
        of(
            "an asterisk for OPTIONS",
            &[(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")],
            &[Status(204), Status(404), Status(405)],
        ),
        authority("an authority with a port", "hub:7070", &[Status(200)]),
        authority(
            "an authority with somebody in it",
            "me:secret@hub",
            MALFORMED,
        ),
        authority("an authority with a path", "hub/x", MALFORMED),
        authority("an authority with a blank", "hub x", MALFORMED),
        authority(
            "an authority of nothing",
            "",
            &[
                Status(200),
                Status(400),
                Reset(code::PROTOCOL),
                Goaway(code::PROTOCOL),
            ],
        ),
        method("a method of nothing", "", MALFORMED),
        method("a method with a blank", "GET /x", MALFORMED),
        method(
            "a method in lower case is another one",
            "get",
            &[Status(405)],
        ),
        scheme("a scheme of nothing", "", MALFORMED),
        scheme(
            "https without it",
            "https",
            &[Status(200), Status(400), Reset(code::PROTOCOL)],
        ),
        scheme(
            "a scheme nobody knows",
            "cow",
            &[Status(200), Status(400), Reset(code::PROTOCOL)],
        ),
        scheme(
            "a scheme that is an address",
            "http://elsewhere/?",
            MALFORMED,
        ),
        of(
            "CONNECT with a path",
            &[(":method", "CONNECT"), SCHEME, AUTHORITY, PATH],
            &[
                Reset(code::PROTOCOL),
                Goaway(code::PROTOCOL),
                Status(400),
                Status(404),
                Status(405),
            ],
        ),
        of(
            "CONNECT",
            &[(":method", "CONNECT"), AUTHORITY],
            &[Reset(code::PROTOCOL), Status(400), Status(404), Status(405)],
        ),
        of(
            "CONNECT without an authority",
            &[(":method", "CONNECT")],
            &[Reset(code::PROTOCOL), Goaway(code::PROTOCOL), Status(400)],
        ),
        of(
            "CONNECT with a protocol that was not agreed on",
            &[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                SCHEME,
                AUTHORITY,
                (":path", "/v1/ws"),
            ],
            &[
                Reset(code::PROTOCOL),
                Goaway(code::PROTOCOL),
                Status(400),
                Status(401),
                Status(404),
                Status(405),
            ],
        ),
    ]
}

fn lengths() -> Vec<Case> {
    let length = event().len();
    let said = |name: &str, said: &str, allowed| with(name, ("content-length", said), allowed);
    let right = length.to_string();
    let without = |said: &str| {
        let block = publishing(h2::field("content-length", said));
        headers(1, flag::END_STREAM, block)
    };
    let parts = |said: usize| {
        let (body, block) = (
            event(),
            publishing(h2::field("content-length", said.to_string())),
        );
        let (one, two) = body.split_at(10);
        all(&[
            headers(1, 0, block),
            data(1, 0, one),
            data(1, flag::END_STREAM, two),
        ])
    };
    vec![
        said("a length", &right, &[Status(202)]),
        said(
            "a length that is too large",
            &(length + 1).to_string(),
            MALFORMED,
        ),
        said(
            "a length that is too small",
            &(length - 1).to_string(),
            MALFORMED,
        ),
        said("a length of zero", "0", MALFORMED),
        said("a length that is no number", "cow", MALFORMED),
        said("a negative length", "-1", MALFORMED),
        said("a length with a plus", &format!("+{right}"), MALFORMED),
        said("a length beyond 64 bits", "18446744073709551616", MALFORMED),
        said("a length of nothing", "", MALFORMED),
        case("a length in two frames", 1, parts(length), &[Status(202)]),
        case(
            "a length in two frames that are too much",
            1,
            parts(11),
            MALFORMED,
        ),
        case(
            "a length in two frames that are too little",
            1,
            parts(length + 7),
            MALFORMED,
        ),
        case("a length and no body", 1, without(&right), MALFORMED),
        case(
            "a length of zero and no body",
            1,
            without("0"),
            &[Status(400)],
        ),
        case(
            "two lengths",
            1,
            post(
                1,
                h2::block(&[("content-length", &right), ("content-length", "1")]),
            ),
            MALFORMED,
        ),
        case(
            "the same length twice",
            1,
            post(
                1,
                h2::block(&[("content-length", &right), ("content-length", &right)]),
            ),
            &[
                Status(202),
                Status(400),
                Reset(code::PROTOCOL),
                Goaway(code::PROTOCOL),
            ],
        ),
    ]
}

fn trailers() -> Vec<Case> {
    let with = |name: &str, flags, fields: Vec<u8>, allowed| {
        let frames = all(&[open(1), data(1, 0, event()), headers(1, flags, fields)]);
        case(name, 1, frames, allowed)
    };
    let end = flag::END_STREAM;
    let field = |name: &str, value: &str| h2::field(name, value);
    vec![
        with("trailers", end, field("x-sum", "1"), &[Status(202)]),
        with("trailers of nothing", end, Vec::new(), &[Status(202)]),
        with(
            "trailers that do not end",
            0,
            field("x-sum", "1"),
            MALFORMED,
        ),
        with(
            "trailers with a method",
            end,
            field(":method", "GET"),
            MALFORMED,
        ),
        with("trailers with a path", end, field(":path", "/"), MALFORMED),
        with(
            "trailers with a status",
            end,
            field(":status", "200"),
            MALFORMED,
        ),
        with(
            "trailers with one that nobody knows",
            end,
            field(":cow", "moo"),
            MALFORMED,
        ),
        with("trailers in capitals", end, field("X-Sum", "1"), MALFORMED),
        with(
            "trailers with a connection",
            end,
            field("connection", "close"),
            MALFORMED,
        ),
        with(
            "trailers with a coding",
            end,
            field("transfer-encoding", "chunked"),
            MALFORMED,
        ),
        with(
            "trailers with another length change nothing",
            end,
            field("content-length", "1"),
            &[Status(202), Status(400), Reset(code::PROTOCOL)],
        ),
        with(
            "trailers with another key change nothing",
            end,
            field("authorization", "Bearer wrong"),
            &[Status(202), Status(400), Reset(code::PROTOCOL)],
        ),
        case(
            "DATA behind trailers",
            0,
            all(&[
                open(1),
                data(1, 0, event()),
                headers(1, end, field("x-sum", "1")),
                data(1, end, "x"),
            ]),
            &[
                Goaway(code::STREAM_CLOSED),
                Reset(code::STREAM_CLOSED),
                Goaway(code::PROTOCOL),
                Closed,
            ],
        )
        .taken(),
        case(
            "trailers right behind the headers",
            1,
            all(&[open(1), headers(1, end, field("x-sum", "1"))]),
            &[Status(400)],
        ),
        case(
            "trailers in two frames",
            1,
            {
                let fields = field("x-sum", "1");
                let (one, two) = fields.split_at(3);
                all(&[
                    open(1),
                    data(1, 0, event()),
                    frame(kind::HEADERS, end, 1, one),
                    frame(kind::CONTINUATION, flag::END_HEADERS, 1, two),
                ])
            },
            &[Status(202)],
        ),
        case(
            "a second request in trailers",
            1,
            all(&[
                open(1),
                data(1, 0, event()),
                headers(1, end, head("POST", "/v1/events")),
            ]),
            MALFORMED,
        ),
    ]
}
