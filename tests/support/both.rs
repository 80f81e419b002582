//! One test body, two servers: a real etcd and the embedded store.
//!
//! Use from a test file, beside `support/etcd.rs` and `support/embedded.rs`:
//! `#[macro_use] #[path = "support/both.rs"] mod both;`, then `on_both!(name, …);`.

/// Tests of bodies `async fn name(server: &Ctl)`, on each server.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_etcd {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let server = crate::etcd::Etcd::start();
                super::$name(&server).await;
            })*
        }

        mod on_embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let server = crate::embedded::Embedded::start();
                super::$name(&server).await;
            })*
        }
    };
}
