//! What the hosts of the lab reach at the switch's address: the embedded store, or an etcd outside the lab.

use std::future::Future;
use std::io;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Carries connections to `target`, which is reached from this process's own namespace.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    target: String,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    tokio::pin!(end);
    loop {
        let accepted = tokio::select! {
            () = &mut end => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let (mut near, _) = accepted?;
        let target = target.clone();
        tokio::spawn(async move {
            let carried = async {
                let mut far = TcpStream::connect(&target).await?;
                copy_bidirectional(&mut near, &mut far).await
            };
            if let Err(error) = carried.await {
                tracing::debug!(%error, target, "a connection to etcd ended");
            }
        });
    }
}
