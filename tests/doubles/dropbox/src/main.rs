//! The program `dropbox-double`: starts the double and prints where it listens, on one line.
//!
//! ```text
//! dropbox-double --listen 127.0.0.1:0 [--tls CERTIFICATE KEY]
//! ```

use std::io::Write as _;
use std::process::ExitCode;

use dropbox_double::{Dropbox, Options};

const USAGE: &str = "usage: dropbox-double --listen ADDRESS [--tls CERTIFICATE KEY]";

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let ended = runtime.and_then(|runtime| runtime.block_on(serve(options)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dropbox-double: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> std::io::Result<()> {
    let dropbox = Dropbox::with(options).await?;
    let mut out = std::io::stdout();
    writeln!(out, "dropbox-double listening on {}", dropbox.url())?;
    out.flush()?;
    dropbox.serve().await;
    Ok(())
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--listen" => options.listen = arguments.next()?.parse().ok()?,
            "--tls" => options.tls = Some((arguments.next()?.into(), arguments.next()?.into())),
            _ => return None,
        }
    }
    Some(options)
}
