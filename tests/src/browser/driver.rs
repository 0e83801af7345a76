//! Chromium's driver: starts it, opens one session, hands on the commands of WebDriver (W3C) over HTTP. Ended when
//! dropped, with the browser. The crates for this turn on features of serde_json that the hub does not have.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use crate::hub::client;

/// The name by which WebDriver refers to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A driver with a session.
#[derive(Debug)]
pub(super) struct Driver {
    session: String,
    http: reqwest::Client,
    /// After the session: dropped last.
    _process: Process,
}

#[derive(Debug)]
struct Process(Child);

/// An element of the page.
#[derive(Debug, Clone)]
pub(super) struct Element(String);

impl Driver {
    /// Starts one, and its browser with this profile.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(super) async fn start(profile: &Path) -> Result<Self, String> {
        let process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromedriver: {error}"))?;
        let mut process = Process(process);
        let port = port_of(&mut process.0).ok_or("chromedriver does not come up")?;
        let mut driver = Self {
            session: format!("http://127.0.0.1:{port}/session"),
            http: client(),
            _process: process,
        };
        let opened = driver.ask(Method::POST, "", &capabilities(profile)).await?;
        let id = opened["sessionId"].as_str().ok_or("there is no session")?;
        driver.session = format!("{}/{id}", driver.session);
        Ok(driver)
    }

    /// Sends a command with these parameters: what it answers.
    ///
    /// # Errors
    /// What the driver says.
    pub(super) async fn post(&self, command: &str, parameters: Value) -> Result<Value, String> {
        self.ask(Method::POST, command, &parameters).await
    }

    /// Asks for something.
    ///
    /// # Errors
    /// What the driver says.
    pub(super) async fn get(&self, what: &str) -> Result<Value, String> {
        self.ask(Method::GET, what, &Value::Null).await
    }

    /// Ends the session, and the browser with it.
    ///
    /// # Errors
    /// What the driver says.
    pub(super) async fn quit(&self) -> Result<(), String> {
        self.ask(Method::DELETE, "", &Value::Null).await.map(drop)
    }

    /// Runs a script with these arguments: what it returns, or with `async` what it hands to its last argument.
    ///
    /// # Errors
    /// What the driver says.
    pub(super) async fn run(&self, how: &str, script: &str, args: Value) -> Result<Value, String> {
        let command = format!("/execute/{how}");
        self.post(&command, json!({ "script": script, "args": args }))
            .await
    }

    /// The elements that a selector finds.
    ///
    /// # Errors
    /// What the driver says.
    pub(super) async fn find(&self, css: &str) -> Result<Vec<Element>, String> {
        let wanted = json!({ "using": "css selector", "value": css });
        let found = self.post("/elements", wanted).await?;
        let found = found.as_array().into_iter().flatten();
        let ids = found.filter_map(|one| one[ELEMENT].as_str());
        Ok(ids.map(|id| Element(id.to_owned())).collect())
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.session));
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let is_done = answer.status().is_success();
        let mut answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let value = answer["value"].take();
        match is_done {
            true => Ok(value),
            false => Err(format!("{}: {}", value["error"], value["message"])),
        }
    }
}

impl Element {
    /// The path of a command to it.
    pub(super) fn path(&self, command: &str) -> String {
        format!("/element/{}/{command}", self.0)
    }

    /// As an argument of a script.
    pub(super) fn as_argument(&self) -> Value {
        json!({ ELEMENT: self.0 })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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

fn capabilities(profile: &Path) -> Value {
    let args = json!([
        "--headless=new",
        // Whoever tests in a container is root there, for whom it has no sandbox.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        // It ends with the driver, whatever ends that.
        "--remote-debugging-pipe",
        format!("--user-data-dir={}", profile.display()),
    ]);
    json!({ "capabilities": { "alwaysMatch": {
        "goog:chromeOptions": { "args": args },
        "goog:loggingPrefs": { "browser": "WARNING" },
    }}})
}
