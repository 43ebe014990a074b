//! Starts the service for a test: the real one, on free ports, with data of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// A service that runs. It is killed when it is dropped.
pub struct Service {
    process: Child,
    base: String,
}

impl Service {
    /// Starts it with the data in a folder.
    pub fn start(data: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_@NAME@"))
            .args(["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the service is built");
        let out = process.stdout.take().expect("stdout is piped");
        let base = BufReader::new(out)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("api")?.trim().to_owned()))
            .expect("the service says where it is");
        Self { process, base }
    }

    /// Sends a request with JSON, and returns the status and the answer's JSON.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("Content-Type", "application/json")
            .body(body.to_string())
            .expect("the request is right");
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .build()
            .new_agent();
        let mut response = agent.run(request).expect("the service answers");
        let text = response.body_mut().read_to_string().expect("it is text");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        (response.status().as_u16(), json)
    }

    /// Reads a path.
    pub fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, &Value::Null)
    }

    /// Ends it as a power failure would.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ended");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
