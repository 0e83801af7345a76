//! A real Chromium for tests, without a window: starts it by its WebDriver, loads pages, clicks, types and looks. It
//! keeps nothing of its own between two tests, and ends with [`Browser`].

use std::io::{BufRead, BufReader};
use std::mem::ManuallyDrop;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use thirtyfour::error::WebDriverResult;
use thirtyfour::{
    By, ChromeCapabilities, ChromiumLikeCapabilities, Key, LoggingPrefsLogLevel, WebDriver,
    WebElement,
};

use crate::foreign::node_with;
use crate::hub::{client, eventually};

/// The Debian packages of a browser for tests.
pub const DEBIAN_PACKAGES: &[&str] = &["chromium", "chromium-driver"];

/// The engine that judges whether everybody can use a page.
const AXE: &str = "axe-core@4.11.0";

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

/// What drives it. Ended when dropped.
#[derive(Debug)]
struct Driver(Child);

/// A browser that is up, with one page. Ended when dropped.
#[derive(Debug)]
pub struct Browser {
    /// Never dropped: it would wait for its driver on a thread that has the test to do.
    page: ManuallyDrop<WebDriver>,
    /// Dropped before the profile, which nobody else has.
    _driver: Driver,
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
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| missing(format!("chromedriver: {error}")))?;
        let mut driver = Driver(driver);
        let port = port_of(&mut driver.0);
        let port = port.ok_or_else(|| missing("chromedriver does not come up".to_owned()))?;
        let profile = tempfile::tempdir().map_err(|error| missing(error.to_string()))?;
        let wanted = capabilities(profile.path()).map_err(|error| missing(error.to_string()))?;
        let page = WebDriver::builder(format!("http://127.0.0.1:{port}"), wanted)
            .client(client())
            .connect()
            .await;
        let browser = Self {
            page: ManuallyDrop::new(page.map_err(|error| missing(error.to_string()))?),
            _driver: driver,
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
        self.page.goto(url).await.expect("the page loads");
    }

    /// Loads the page once more.
    ///
    /// # Panics
    /// When it cannot be loaded.
    pub async fn reload(&self) {
        self.page.refresh().await.expect("the page loads again");
    }

    /// Runs a script in the page: what it returns.
    ///
    /// # Panics
    /// When the script fails.
    pub async fn run(&self, script: &str) -> Value {
        let ran = self.page.execute(script, Vec::new()).await;
        let ran = ran.unwrap_or_else(|error| panic!("{script}: {error}"));
        ran.json().clone()
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
        let argument = element.to_json().expect("an element");
        let scrolled = self.page.execute(middle, vec![argument]).await;
        scrolled.expect(css);
        element.click().await.expect(css);
    }

    /// Puts a text into a field in the place of what is in it.
    ///
    /// # Panics
    /// When there is no such field.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.element(css).await;
        field.clear().await.expect(css);
        field.send_keys(text).await.expect(css);
    }

    /// Presses keys, wherever the focus is.
    ///
    /// # Panics
    /// When the browser has gone.
    pub async fn press(&self, keys: impl AsRef<str>) {
        let chain = self.page.action_chain().send_keys(keys.as_ref());
        chain.perform().await.expect("keys can be pressed");
    }

    /// Presses the tabulator.
    ///
    /// # Panics
    /// When the browser has gone.
    pub async fn tab(&self) {
        let tab: char = Key::Tab.into();
        self.press(tab.to_string()).await;
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
        let picture = self.element(css).await.screenshot_as_png().await;
        picture.expect("a picture")
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
        let found = self.page.execute_async(script, Vec::new()).await;
        let found = found.expect("the engine runs").json().clone();
        Ok(serde_json::from_value(found).expect("a list of texts"))
    }

    /// What the browser has complained about since this was last asked: scripts that failed, and what the page's
    /// policy forbids.
    ///
    /// # Panics
    /// When the browser has gone.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.page.browser_log().await.expect("the browser's log");
        entries.into_iter().map(|entry| entry.message).collect()
    }

    /// Ends it, with everything it has started.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn end(self) {
        WebDriver::clone(&self.page)
            .quit()
            .await
            .expect("the browser ends");
    }

    /// The first element that is seen.
    async fn element(&self, css: &str) -> WebElement {
        eventually(&format!("{css} is seen"), || async {
            for element in self.page.find_all(By::Css(css)).await.ok()? {
                if element.is_displayed().await.unwrap_or_default() {
                    return Some(element);
                }
            }
            None
        })
        .await
    }

    async fn command(&self, name: &str, parameters: Value) -> Value {
        let answer = self.page.cdp().send_raw(name, parameters).await;
        answer.unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// The driver says which port it has taken.
fn port_of(driver: &mut Child) -> Option<u16> {
    let mut lines = BufReader::new(driver.stdout.take()?).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    // Read on, so that it never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    port
}

fn capabilities(profile: &Path) -> WebDriverResult<ChromeCapabilities> {
    let mut wanted = ChromeCapabilities::new();
    let profile = format!("--user-data-dir={}", profile.display());
    for arg in [
        "--headless=new",
        // Whoever tests in a container is root there, for whom it has no sandbox.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        // It ends with the driver, whatever ends that.
        "--remote-debugging-pipe",
        &profile,
    ] {
        wanted.add_arg(arg)?;
    }
    wanted.set_browser_log_level(LoggingPrefsLogLevel::Warning)?;
    Ok(wanted)
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The browser ends with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
