//! What frames go through: on Unix a pair of sockets, the worker's end of which is its standard input;
//! elsewhere a worker's standard input and output. Whichever it is, neither side sees more than bytes.

use std::io;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::Receiver;

/// What comes from the other side.
pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// What goes to the other side.
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Sends frames as they come, as much at once as there is.
pub(super) async fn send(mut to: Writer, mut frames: Receiver<Vec<u8>>) -> io::Result<()> {
    let mut together = Vec::new();
    while frames.recv_many(&mut together, 64).await > 0 {
        match together.as_slice() {
            [one] => to.write_all(one).await?,
            several => to.write_all(&several.concat()).await?,
        }
        to.flush().await?;
        together.clear();
    }
    Ok(())
}

/// Starts a worker with an end of a wire in its hands.
#[cfg(unix)]
pub(super) fn start(mut command: Command) -> io::Result<(Child, Reader, Writer)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    command.stdin(std::os::fd::OwnedFd::from(theirs));
    command.stdout(Stdio::null());
    ours.set_nonblocking(true)?;
    let child = command.spawn()?;
    let (read, write) = tokio::net::UnixStream::from_std(ours)?.into_split();
    Ok((child, Box::new(read), Box::new(write)))
}

/// The end of the wire that this process was given. Nothing else reads from it: what asks for the standard
/// input finds nothing there.
#[cfg(unix)]
pub(super) fn of_this_process() -> io::Result<(Reader, Writer)> {
    use std::os::fd::AsFd;
    let wire = io::stdin().as_fd().try_clone_to_owned()?;
    let nothing = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    let wire = std::os::unix::net::UnixStream::from(wire);
    wire.set_nonblocking(true)?;
    let (read, write) = tokio::net::UnixStream::from_std(wire)?.into_split();
    Ok((Box::new(read), Box::new(write)))
}

/// Starts a worker with an end of a wire in its hands.
#[cfg(not(unix))]
pub(super) fn start(mut command: Command) -> io::Result<(Child, Reader, Writer)> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let (Some(write), Some(read)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other(
            "the worker has no standard input or output",
        ));
    };
    Ok((child, Box::new(read), Box::new(write)))
}

/// The end of the wire that this process was given.
#[cfg(not(unix))]
pub(super) fn of_this_process() -> io::Result<(Reader, Writer)> {
    Ok((Box::new(tokio::io::stdin()), Box::new(tokio::io::stdout())))
}
