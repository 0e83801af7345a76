//! A real Chromium for tests, without a window: starts it by its WebDriver, loads pages, clicks, types and looks. It
//! keeps nothing of its own between two tests, and ends with [`Browser`].

mod driver;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::foreign::node_with;
use crate::hub::eventually;
use driver::{Driver, Element};

/// The Debian packages of a browser for tests.
pub const DEBIAN_PACKAGES: &[&str] = &["chromium", "chromium-driver"];

/// The engine that judges whether everybody can use a page.
const AXE: &str = "axe-core@4.11.0";

/// The tabulator, as WebDriver names it.
const TAB: &str = "\u{e004}";

/// The size of the window, unless a test says otherwise.
const WINDOW: (u32, u32) = (1440, 900);

/// What a browser is asked to prefer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// By day.
    Light,
    /// By night.
    Dark,
}

/// A browser that is up, with one page. Ended when dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Driver,
    /// Dropped after the driver, whose browser has it.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one.
    ///
    /// # Errors
    /// Why it cannot be had on this machine.
    pub async fn start() -> Result<Self, String> {
        let missing = |what: String| {
            let packages = DEBIAN_PACKAGES.join(" ");
            format!("no browser for tests: {what}; on Debian: apt-get install {packages}")
        };
        let profile = tempfile::tempdir().map_err(|error| missing(error.to_string()))?;
        let browser = Self {
            driver: Driver::start(profile.path()).await.map_err(missing)?,
            _profile: profile,
        };
        // Nothing is on its way when it is clicked on.
        browser.prefer(Scheme::Light).await;
        browser.size(WINDOW.0, WINDOW.1).await;
        Ok(browser)
    }

    /// Loads a page.
    ///
    /// # Panics
    /// When it cannot be loaded.
    pub async fn open(&self, url: &str) {
        let loaded = self.driver.post("/url", json!({ "url": url })).await;
        loaded.expect("the page loads");
    }

    /// Loads the page once more.
    ///
    /// # Panics
    /// When it cannot be loaded.
    pub async fn reload(&self) {
        let loaded = self.driver.post("/refresh", json!({})).await;
        loaded.expect("the page loads again");
    }

    /// Runs a script in the page: what it returns.
    ///
    /// # Panics
    /// When the script fails.
    pub async fn run(&self, script: &str) -> Value {
        let ran = self.driver.run("sync", script, json!([])).await;
        ran.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script returns something that counts as true.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn wait_for(&self, what: &str, script: &str) {
        let script = format!("return Boolean({script});");
        eventually(what, || async {
            (self.run(&script).await == true).then_some(())
        })
        .await;
    }

    /// Waits until a part of the page has this text in it, and is seen.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn wait_for_text(&self, css: &str, text: &str) {
        let (css, wanted) = (json!(css), json!(text));
        let script = format!(
            "[...document.querySelectorAll({css})].some(e => e.checkVisibility() && e.innerText.includes({wanted}))"
        );
        self.wait_for(&format!("{css} says {wanted}"), &script)
            .await;
    }

    /// Clicks on the first part of the page that is seen, as a mouse would, once it is in the middle of the window.
    ///
    /// # Panics
    /// When there is none, or something else is in front of it.
    pub async fn click(&self, css: &str) {
        let element = self.element(css).await;
        let middle = "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })";
        let argument = json!([element.as_argument()]);
        let scrolled = self.driver.run("sync", middle, argument).await;
        scrolled.expect(css);
        self.tell(&element, "click", json!({})).await.expect(css);
    }

    /// Puts a text into a field in the place of what is in it.
    ///
    /// # Panics
    /// When there is no such field.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.element(css).await;
        self.tell(&field, "clear", json!({})).await.expect(css);
        let text = json!({ "text": text });
        self.tell(&field, "value", text).await.expect(css);
    }

    /// Presses keys, wherever the focus is.
    ///
    /// # Panics
    /// When the browser has gone.
    pub async fn press(&self, keys: impl AsRef<str>) {
        let press = |key: char| {
            let of = |kind: &str| json!({ "type": kind, "value": key.to_string() });
            [of("keyDown"), of("keyUp")]
        };
        let actions: Vec<Value> = keys.as_ref().chars().flat_map(press).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        let pressed = self
            .driver
            .post("/actions", json!({ "actions": [keyboard] }));
        pressed.await.expect("keys can be pressed");
    }

    /// Presses the tabulator.
    ///
    /// # Panics
    /// When the browser has gone.
    pub async fn tab(&self) {
        self.press(TAB).await;
    }

    /// Gives the page so much room.
    ///
    /// # Panics
    /// When the browser has gone.
    pub async fn size(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// Has it prefer day or night.
    ///
    /// # Panics
    /// When the browser has gone.
    pub async fn prefer(&self, scheme: Scheme) {
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let features = json!([
            { "name": "prefers-color-scheme", "value": value },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.command(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
    }

    /// A picture of a part of the page, as PNG.
    ///
    /// # Panics
    /// When there is no such part.
    pub async fn picture(&self, css: &str) -> Vec<u8> {
        let path = self.element(css).await.path("screenshot");
        let picture = self.driver.get(&path).await.expect("a picture");
        let picture = picture.as_str().expect("a picture as a text");
        BASE64_STANDARD
            .decode(picture)
            .expect("a picture in base64")
    }

    /// What the page holds after everything is thrown away that nothing refers to: octets of its heap, and nodes.
    ///
    /// # Panics
    /// When the browser has gone.
    pub async fn held(&self) -> (u64, u64) {
        self.command("Performance.enable", json!({})).await;
        self.command("HeapProfiler.collectGarbage", json!({})).await;
        let told = self.command("Performance.getMetrics", json!({})).await;
        let metrics = told["metrics"].as_array().cloned().unwrap_or_default();
        let of = |name: &str| {
            let metric = metrics.iter().find(|metric| metric["name"] == name);
            metric
                .and_then(|metric| metric["value"].as_f64())
                .unwrap_or_default() as u64
        };
        (of("JSHeapUsedSize"), of("Nodes"))
    }

    /// What the accessibility engine finds to be seriously wrong with the page: each rule, and where.
    ///
    /// # Errors
    /// Why the engine cannot be had on this machine.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn barriers(&self) -> Result<Vec<String>, String> {
        let folder = node_with(AXE)?;
        let engine = folder.join("node_modules/axe-core/axe.min.js");
        let engine = std::fs::read_to_string(engine).map_err(|error| error.to_string())?;
        self.run(&engine).await;
        let script = "const done = arguments[arguments.length - 1]; axe.run().then( \
             (found) => done(found.violations.filter((v) => ['serious', 'critical'].includes(v.impact)) \
               .flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')}: ${n.failureSummary}`))), \
             (error) => done([String(error)]));";
        let found = self.driver.run("async", script, json!([])).await;
        let found = found.expect("the engine runs");
        Ok(serde_json::from_value(found).expect("a list of texts"))
    }

    /// What the browser has complained about since this was last asked: scripts that failed, and what the page's
    /// policy forbids.
    ///
    /// # Panics
    /// When the browser has gone.
    pub async fn complaints(&self) -> Vec<String> {
        let wanted = json!({ "type": "browser" });
        let entries = self.driver.post("/se/log", wanted).await;
        let entries = entries.expect("the browser's log");
        let entries = entries.as_array().into_iter().flatten();
        entries.map(|entry| entry["message"].to_string()).collect()
    }

    /// Ends it, with everything it has started.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn end(self) {
        self.driver.quit().await.expect("the browser ends");
    }

    /// The first element that is seen.
    async fn element(&self, css: &str) -> Element {
        eventually(&format!("{css} is seen"), || async {
            for element in self.driver.find(css).await.ok()? {
                let is_seen = self.driver.get(&element.path("displayed")).await;
                if is_seen.is_ok_and(|seen| seen == true) {
                    return Some(element);
                }
            }
            None
        })
        .await
    }

    async fn tell(&self, element: &Element, command: &str, with: Value) -> Result<Value, String> {
        self.driver.post(&element.path(command), with).await
    }

    async fn command(&self, name: &str, parameters: Value) -> Value {
        let command = json!({ "cmd": name, "params": parameters });
        let answer = self.driver.post("/goog/cdp/execute", command).await;
        answer.unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}
