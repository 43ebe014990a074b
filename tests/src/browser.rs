//! A headless Chromium, driven by the `WebDriver` protocol (W3C): chromedriver is a server of JSON over HTTP.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::Client;

/// How long a page may take to show something before the test fails: far longer than it should.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// A browser with one window. It is closed on drop.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    client: Client,
    session: String,
}

impl Browser {
    /// Starts one.
    pub async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver is installed: tests/run does it");
        let lines = BufReader::new(driver.stdout.take().expect("it is piped")).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.rsplit_once("started successfully on port ")?;
                Some(port.trim_end_matches('.').to_owned())
            })
            .expect("it says its port");
        let client = Client::new(format!("http://127.0.0.1:{port}"));
        // Its sandbox needs rights that root in a container has not.
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--window-size=1400,1000",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let reply = client
            .request("POST", "/session")
            .json(&wanted)
            .send()
            .await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let session = reply.json()["value"]["sessionId"].clone();
        let session = session.as_str().expect("a session").to_owned();
        Self {
            driver,
            client,
            session,
        }
    }

    /// Opens a page, and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url })).await;
    }

    /// The texts of all that a CSS selector finds.
    pub async fn texts(&self, selector: &str) -> Vec<String> {
        let script =
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)";
        let found = self.run(script, &json!([selector])).await;
        let found = found.as_array().expect("an array").iter();
        found
            .map(|text| text.as_str().expect("text").to_owned())
            .collect()
    }

    /// Waits until what a selector finds is as it should be.
    pub async fn wait_for(&self, selector: &str, is: impl Fn(&[String]) -> bool) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let texts = self.texts(selector).await;
            if is(&texts) {
                return texts;
            }
            assert!(begun.elapsed() < PATIENCE, "{selector}: {texts:#?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Runs a script in the page: what it returns.
    pub async fn run(&self, script: &str, arguments: &Value) -> Value {
        let body = json!({"script": script, "args": arguments});
        self.post("/execute/sync", &body).await
    }

    /// What went wrong in the page: errors of scripts, files that are not there, what its policy forbids.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "browser"})).await;
        let entries = log.as_array().expect("an array").iter();
        entries
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// The window as a picture: PNG in base64.
    pub async fn screenshot(&self) -> String {
        let path = format!("/session/{}/screenshot", self.session);
        let picture = self.client.get(&path).await.json()["value"].clone();
        picture.as_str().expect("text").to_owned()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        let reply = self.client.request("POST", &path).json(body).send().await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.json()["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when it is asked to end, mostly; so whatever is left of their group is killed.
        if let Some(pid) = Pid::from_raw(self.driver.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
            let _ = self.driver.wait();
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
