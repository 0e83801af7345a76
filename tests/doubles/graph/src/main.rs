//! The double as a program: `graph-double --listen 127.0.0.1:0` prints its base URL and runs until it is ended.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use graph_double::GraphDouble;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = match arguments.as_slice() {
        [] => Ok(SocketAddr::from(([127, 0, 0, 1], 0))),
        [flag, address] if flag == "--listen" => address.parse().map_err(|_| address.clone()),
        _ => Err(arguments.join(" ")),
    };
    let address = match address {
        Ok(address) => address,
        Err(wrong) => {
            eprintln!(
                "graph-double: `{wrong}` is not understood; usage: graph-double --listen 127.0.0.1:0"
            );
            return ExitCode::from(2);
        }
    };
    let started = GraphDouble::listen(address).await;
    let graph = match started {
        Ok(graph) => graph,
        Err(error) => {
            eprintln!("graph-double: {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Whoever started it reads the address here, through a pipe.
    if writeln!(std::io::stdout(), "{}", graph.url()).is_err() {
        return ExitCode::FAILURE;
    }
    std::future::pending().await
}
