//! HTTP/2 over a connection that many share.

use std::io::{Error, Result};
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request};
use tokio::sync::Mutex;

use super::http1::Answer;
use super::way::Way;

/// A shared connection, opened when somebody needs it.
#[derive(Default)]
pub struct Shared {
    sender: Mutex<Option<SendRequest<Bytes>>>,
}

impl Shared {
    /// One request, one whole answer. A connection that said goodbye before the request was sent is opened anew.
    pub async fn ask(&self, way: &Arc<Way>, method: Method, path: &str, body: &[u8]) -> Result<Answer> {
        let mut sender = self.ready(way).await?;
        let uri = format!("https://localhost{path}");
        let request = Request::builder().method(method).uri(uri).body(()).map_err(Error::other)?;
        let (response, mut stream) = sender.send_request(request, body.is_empty()).map_err(Error::other)?;
        if !body.is_empty() {
            stream.send_data(Bytes::copy_from_slice(body), true).map_err(Error::other)?;
        }
        let (head, mut content) = response.await.map_err(Error::other)?.into_parts();
        while let Some(piece) = content.data().await {
            let piece = piece.map_err(Error::other)?;
            content.flow_control().release_capacity(piece.len()).map_err(Error::other)?;
        }
        let release = head.headers.get("x-demo-release").and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Answer { status: head.status.as_u16(), release })
    }

    async fn ready(&self, way: &Arc<Way>) -> Result<SendRequest<Bytes>> {
        let mut place = self.sender.lock().await;
        if let Some(sender) = place.clone()
            && let Ok(ready) = sender.ready().await
        {
            return Ok(ready);
        }
        let (sender, connection) = h2::client::handshake(way.tls_for_http2().await?).await.map_err(Error::other)?;
        // Its end is seen by whoever asks next.
        tokio::spawn(async move { drop(connection.await) });
        let ready = sender.ready().await.map_err(Error::other)?;
        *place = Some(ready.clone());
        Ok(ready)
    }
}
