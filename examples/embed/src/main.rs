//! Nexus linked as a library: a hub inside this program, with one plugin linked in and no port open.
//!
//! Publishes one event, waits for it, prints what happened, stops.
#![allow(clippy::print_stdout, reason = "what happened is all it is for")]

mod doorbell;

use std::error::Error;

use nexus_host::Host;
use nexus_plugin_api::Event;

use doorbell::Rung;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::builder().plugin(doorbell::plugin()).without_server();
    let host = host.build()?.start().await?;
    let receipt = host
        .publish(Event::of("front-door", Rung::by("Ada")))
        .await?;
    let journey = host.wait_processed(receipt.event_id).await;
    for line in journey?.ok_or("the event is forgotten")?.steps {
        println!("{:?}", line.step);
    }
    println!("{}", host.shutdown().await?);
    Ok(())
}
