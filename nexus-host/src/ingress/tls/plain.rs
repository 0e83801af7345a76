//! HTTP without TLS where TLS is spoken: somebody has written `http://` instead of `https://`, and is told
//! so in the language that he speaks.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// No body is as long; what is read is thrown away.
const SCRAP: usize = 16 * 1024;

const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: application/problem+json\r\n\
    content-length: 166\r\n\
    connection: close\r\n\
    \r\n\
    {\"type\":\"urn:nexus:problem:malformed_event\",\"title\":\"Malformed request\",\"status\":400,\
    \"detail\":\"TLS is spoken here; write https:// or wss://\",\"code\":\"malformed_event\"}";

/// Answers a client that begins as TLS never does: with a letter, as a method's name.
///
/// # Errors
/// When it did, or the connection fails.
pub(super) async fn refuse(stream: &mut TcpStream) -> io::Result<()> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 || !first[0].is_ascii_uppercase() {
        return Ok(());
    }
    // What came is taken before the end, or the end would reach the client as a reset.
    let _ = stream.try_read(&mut vec![0; SCRAP]);
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    Err(io::Error::other("it speaks HTTP without TLS"))
}
