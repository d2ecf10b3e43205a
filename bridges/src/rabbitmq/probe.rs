//! Whether a broker can be reached, and has what is needed.

use super::server::{Server, find_exchange, find_queue, sorted};
use super::session::Session;
use crate::fault::{Fault, Kind};
use crate::options::{Access, Destination};
use crate::stop::Stop;

/// Connects, looks whether the destination is there, and ends the connection.
pub(crate) fn probe(
    url: &str,
    access: Access<'_>,
    name: &str,
    destination: Destination,
    stop: &Stop,
) -> Result<(), Fault> {
    let server = Server::new(url, access, name);
    let server = server.map_err(|failure| Fault::new(Kind::Refused, failure.text))?;
    let session: Session<(), ()> = Session::open(stop, move |mut commands, shared| async move {
        let connection = server.connect().await?;
        let channel = connection.create_channel().await.map_err(|fault| sorted(&fault))?;
        match &destination {
            Destination::Queue(name) => find_queue(&channel, name, None).await?,
            Destination::Exchange(name) => find_exchange(&channel, name).await?,
        }
        shared.opened();
        commands.recv().await;
        connection.close(200, "done".into()).await.map_err(|fault| sorted(&fault))
    })?;
    session.close();
    Ok(())
}
