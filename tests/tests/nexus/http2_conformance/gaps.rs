//! Where the library is known to do something else than the standard says it must: which case, what it does,
//! and why that is borne.

use nexus_tests::h2::code;

use super::Way::{self, Alive, Goaway, Status};

const LATE_SETTINGS: &str = "SETTINGS need not come first; until they come, the defaults hold";

/// Cases by their names, with what is seen and why that is borne.
pub(super) const GAPS: &[(&[&str], Way, &str)] = &[
    (
        &[
            "a start without SETTINGS",
            "PING before SETTINGS",
            "HEADERS before SETTINGS",
            "WINDOW_UPDATE before SETTINGS",
            "an acknowledgement before SETTINGS",
            "an unknown frame before SETTINGS",
        ],
        Alive,
        LATE_SETTINGS,
    ),
    (&["GOAWAY before SETTINGS"], Status(200), LATE_SETTINGS),
    (
        &[
            "PRIORITY of 4 octets",
            "PRIORITY of 6 octets",
            "RST_STREAM of 0 octets",
            "RST_STREAM of 3 octets",
            "RST_STREAM of 5 octets",
            "WINDOW_UPDATE of 0 octets",
            "WINDOW_UPDATE of 3 octets",
            "WINDOW_UPDATE of 5 octets",
            "PING of 0 octets",
            "PING of 7 octets",
            "PING of 9 octets",
            "SETTINGS of 1 octets",
            "SETTINGS of 5 octets",
            "SETTINGS of 7 octets",
            "an acknowledgement with something in it",
        ],
        Goaway(code::PROTOCOL),
        "a length that its type does not have ends the connection with PROTOCOL_ERROR instead of \
         FRAME_SIZE_ERROR",
    ),
    (
        &[
            "SETTINGS: a window of 2^31",
            "SETTINGS: a window of 2^32 - 1",
        ],
        Goaway(code::PROTOCOL),
        "a window that is too large ends the connection with PROTOCOL_ERROR instead of \
         FLOW_CONTROL_ERROR",
    ),
    (
        &[
            "place 0",
            "place 62 of an empty table",
            "place 70",
            "place 1,000",
            "a name from place 62 of an empty table",
            "a name never to be remembered from place 70",
            "a name without a table from place 1,000",
            "a field that has never been remembered",
            "a field that was pushed out",
            "a field that is larger than the table empties it",
            "a broken block on one stream ends all",
            "a size over the largest",
            "a size far over the largest",
            "a size at first small, then too large",
            "a size at the end",
            "a size between fields",
            "a size of nothing forgets",
            "a size of nothing and back forgets",
            "a number beyond 64 bits",
            "a number that never ends",
            "a length beyond 32 bits",
            "padding of zeros",
            "padding of ones and zeros",
            "padding of eight bits",
            "padding of sixteen bits",
            "nothing but padding",
            "the end of the code",
            "a text and the end of the code",
            "half a letter",
        ],
        Goaway(code::PROTOCOL),
        "a header block that cannot be read ends the connection with PROTOCOL_ERROR instead of \
         COMPRESSION_ERROR",
    ),
    (
        &["reset: DATA", "ended: DATA"],
        Alive,
        "DATA on a stream that has ended are passed over, as if they had been on their way",
    ),
    (
        &[
            "a value with a blank before",
            "a value with a blank behind",
            "a value with a blank of a tab before",
        ],
        Status(202),
        "blanks around a value are handed on as they came; the hub reads no value so that they matter",
    ),
    (
        &[
            "trailers with a method",
            "trailers with a path",
            "trailers with a status",
            "a second request in trailers",
        ],
        Status(202),
        "pseudo fields that are known are dropped from trailers, which the hub does not read",
    ),
    (
        &["a scheme of nothing"],
        Status(200),
        "an empty scheme passes for one; the hub does not read it",
    ),
    (
        &["CONNECT without an authority"],
        Status(404),
        "no CONNECT is served, and one without an authority is answered like any other",
    ),
];
