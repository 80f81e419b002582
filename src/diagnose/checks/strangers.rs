//! FL513 the other way round: what the kernel holds for nobody.

use crate::diagnose::finding::{Confidence, Severity};
use crate::diagnose::route;
use crate::diagnose::view::{Found, View, found};

use super::policy::label;

/// Routes through the flannel device to subnets that nobody has leased.
pub fn routes(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    let Some(network) = view.network().filter(|_| !view.case.leases.is_empty()) else {
        return all;
    };
    for node in &view.case.nodes {
        for one in &node.routes {
            let ours = one.device.is_some() && one.device == node.device && one.kind == "unicast";
            let within = network.contains(&one.destination)
                && one.destination.prefix_len() > network.prefix_len();
            let leased = view
                .case
                .leases
                .iter()
                .any(|lease| route::overlap(lease.subnet, one.destination));
            // The device's own address, and the kernel's routes for it.
            let own = view
                .subnet(node)
                .is_some_and(|own| route::overlap(own, one.destination));
            if ours && within && !leased && !own {
                all.push(
                    found("FL513", node.node, format!("route {}", one.destination))
                        .severity(Severity::Warning)
                        .confidence(Confidence::Proven)
                        .summary(format!(
                            "{}: a route leads to {}, which nobody has leased",
                            label(node),
                            one.destination
                        ))
                        .evidence(format!("no lease covers {}", one.destination))
                        .run(format!("ip route del {}", one.destination))
                        .done(),
                );
            }
        }
    }
    all
}
