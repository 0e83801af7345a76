//! The dashboard: one page with its styles and scripts, all of them parts of this program. They hold no data: the page
//! asks for everything with the key of whoever looks at it, as any other client does.

use axum::extract::{Path, State as Extracted};
use axum::response::{IntoResponse, Response};
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use super::problem::Problem;
use super::{State, no_such_path};

/// What the page may do: nothing but load what is served here beside it, and ask this hub.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A part of the page: its name, its media type, and what is in it.
type Part = (&'static str, &'static str, &'static str);

macro_rules! parts {
    ($($kind:ident $name:literal),* $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("dashboard/", $name)))),*]
    };
}

/// Everything beside the page itself.
const PARTS: &[Part] = parts![
    CSS "style.css",
    SVG "icon.svg",
    JS "main.js",
    JS "alerts.js",
    JS "approvals.js",
    JS "breakers.js",
    JS "chart.js",
    JS "dom.js",
    JS "format.js",
    JS "hub.js",
    JS "journey.js",
    JS "latency.js",
    JS "letters.js",
    JS "pipeline.js",
    JS "plugins.js",
    JS "queue.js",
    JS "session.js",
    JS "sse.js",
    JS "summary.js",
    JS "tail.js",
];

/// `GET /`.
pub(super) async fn page(Extracted(shared): State) -> Result<Response, Problem> {
    match shared.has_dashboard {
        true => Ok(answer(HTML, include_str!("dashboard/index.html"))),
        false => Err(no_such_path().await),
    }
}

/// `GET /assets/{file}`.
pub(super) async fn asset(
    Extracted(shared): State,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let part = PARTS.iter().find(|(known, ..)| *known == name);
    match part.filter(|_| shared.has_dashboard) {
        Some((_, kind, text)) => Ok(answer(kind, text)),
        None => Err(no_such_path().await),
    }
}

fn answer(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        // Another version of the hub has another page.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ingress::harness::Hub;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ingress/http/dashboard");

    async fn get(hub: &Hub, path: &str) -> (u16, String) {
        let answer = hub
            .send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
        (answer.status, format!("{answer:?}"))
    }

    #[test]
    fn every_file_of_the_folder_is_a_part() {
        let files = std::fs::read_dir(FOLDER).unwrap();
        let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let parts = PARTS.iter().map(|(name, ..)| (*name).to_owned());
        let parts: BTreeSet<_> = parts.chain(["index.html".to_owned()]).collect();
        assert_eq!(files.collect::<BTreeSet<_>>(), parts);
    }

    /// The policy would stop it, and the page would be broken.
    #[test]
    fn nothing_comes_from_elsewhere_and_nothing_is_inline() {
        let page = include_str!("dashboard/index.html");
        let all = PARTS.iter().map(|(.., text)| *text).chain([page]);
        for text in all {
            for bad in [
                "https://",
                "innerHTML",
                "outerHTML",
                "eval(",
                "localStorage",
                "cookie",
            ] {
                assert!(!text.contains(bad), "{bad}");
            }
            let addresses = text.matches("http://").count();
            let names = text.matches("http://www.w3.org/").count();
            assert_eq!(addresses, names, "names of XML only");
        }
        for bad in ["<style", "style=", " onclick", "javascript:"] {
            assert!(!page.contains(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn the_page_and_its_parts_are_served_with_the_policy() {
        let hub = Hub::start(|_| {}).await;
        for path in ["/", "/assets/main.js", "/assets/style.css"] {
            let (status, answer) = get(&hub, path).await;
            assert_eq!(status, 200, "{path}");
            assert!(answer.contains("frame-ancestors 'none'"), "{answer}");
            assert!(answer.contains("nosniff"), "{answer}");
        }
        assert_eq!(get(&hub, "/assets/other.js").await.0, 404);
        assert_eq!(get(&hub, "/assets/..%2findex.html").await.0, 404);
    }

    #[tokio::test]
    async fn a_hub_without_a_dashboard_serves_none() {
        let hub = Hub::start(|settings| settings.server.dashboard = false).await;
        for path in ["/", "/assets/main.js"] {
            assert_eq!(get(&hub, path).await.0, 404, "{path}");
        }
    }
}
