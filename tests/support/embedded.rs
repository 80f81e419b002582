//! The embedded store on a free loopback port, for tests: served by a thread of the test program, on a
//! runtime of its own, as a separate process would.
//!
//! Use from a test file: `#[path = "support/embedded.rs"] mod embedded;`, beside `support/etcd.rs`

#![allow(dead_code, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::ops::Deref;
use std::thread::JoinHandle;

use flannelctl::embedded::{Options, bind, serve};
use tokio::sync::oneshot;

use crate::etcd::ctl::Ctl;

/// A running store; it ends with its handle.
pub struct Embedded {
    ctl: Ctl,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// An empty one.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// An empty one whose member has a name.
    pub fn named(name: &str) -> Self {
        Self::start_with(Options {
            name: name.to_owned(),
            ..Options::default()
        })
    }

    /// An empty one.
    pub fn start_with(options: Options) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                let stopped = async move {
                    stopped.await.ok();
                };
                serve(listener, options, stopped).await.unwrap();
            });
        });
        Self {
            ctl: Ctl {
                url: format!("http://{}", address.recv().unwrap()),
            },
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Ends it and waits for its end.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Deref for Embedded {
    type Target = Ctl;

    fn deref(&self) -> &Ctl {
        &self.ctl
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}
