//! etcd's old v2 interface, where flannel before 0.18 kept its config: one key is looked up, to say that it is there. Plain
//! HTTP/1.0, since it is a single small request; endpoints with TLS are not asked.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::store::Registry;

/// For all endpoints together.
const BUDGET: Duration = Duration::from_secs(1);
/// Bytes of an answer at most.
const MOST: u64 = 64 << 10;

/// A config in the v2 interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldConfig {
    /// URL of the endpoint that has it.
    pub url: String,
    /// Its key.
    pub key: String,
    /// Its value, untrusted.
    pub value: String,
}

impl Registry {
    /// The network config that an endpoint holds in its v2 interface under the same key, if there is one.
    pub async fn config_in_v2(&self) -> Option<OldConfig> {
        let key = self.config_key();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~".contains(c);
        if !key.chars().all(plain) {
            return None;
        }
        let asked = self.inner.pool.urls().map(|url| async move {
            let value = timeout(BUDGET, look_up(url, key)).await.ok()??;
            let (url, key) = (url.to_owned(), key.to_owned());
            Some(OldConfig { url, key, value })
        });
        join_all(asked).await.into_iter().flatten().next()
    }
}

async fn look_up(url: &str, key: &str) -> Option<String> {
    let authority = url.strip_prefix("http://")?;
    let mut stream = TcpStream::connect(authority).await.ok()?;
    let request = format!("GET /v2/keys{key} HTTP/1.0\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await.ok()?;
    value(&answer)
}

/// The node's value in an answer of status 200.
fn value(answer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?;
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    let value = json.get("node")?.get("value")?.as_str()?;
    (head.starts_with("HTTP/1.") && status == "200").then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn only_a_value_is_taken() {
        let answer = |status: &str, body: &str| {
            value(format!("HTTP/1.0 {status}\r\nX: y\r\n\r\n{body}").as_bytes())
        };
        let node =
            r#"{"action":"get","node":{"key":"/k","value":"{\"Network\":\"10.5.0.0/16\"}"}}"#;
        assert_eq!(
            answer("200 OK", node).as_deref(),
            Some(r#"{"Network":"10.5.0.0/16"}"#)
        );
        assert_eq!(
            answer(
                "404 Not Found",
                r#"{"errorCode":100,"message":"Key not found"}"#
            ),
            None
        );
        assert_eq!(answer("401 Unauthorized", node), None);
        assert_eq!(answer("200 OK", r#"{"node":{"dir":true}}"#), None);
        assert_eq!(answer("200 OK", "404 page not found"), None);
        assert_eq!(value(b"\xff\xfe"), None);
        assert_eq!(value(b""), None);
    }
}
