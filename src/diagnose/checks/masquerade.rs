//! FL120: the source of a probe changed within the flannel network. FL121: two masquerade.

use crate::diagnose::finding::{Confidence, Direction, Severity};
use crate::diagnose::ladder::Hop;
use crate::diagnose::listing::{self, Action};
use crate::diagnose::probe::Origin;
use crate::diagnose::view::{Found, View, found};

use super::policy::label;

/// Where a container's address was first replaced on its way, and by which rule.
pub fn hidden(view: &View<'_>) -> Vec<Found> {
    let mut all = Vec::new();
    for ladder in view.ladders {
        let path = ladder.path();
        if path.origin == Origin::Host || path.from.is_unspecified() {
            continue;
        }
        let changed = ladder
            .steps
            .iter()
            .filter(|step| !step.reply)
            .flat_map(|step| step.seen.iter().map(move |one| (step, *one)))
            .find(|(_, one)| one.from != path.from);
        let Some((step, one)) = changed else { continue };
        // A change seen on the receiving side alone may still have been made before: the place is the first
        // node that shows it, the sender's first.
        let node = view.case.node(step.node);
        let rule = node.and_then(|node| {
            listing::read(&node.firewall)
                .into_iter()
                .flat_map(|chain| {
                    let title = chain.title();
                    chain
                        .rules
                        .into_iter()
                        .map(move |rule| (title.clone(), chain.program.clone(), rule))
                })
                .find(|(.., rule)| {
                    rule.action == Action::Masquerade && rule.rise().is_some_and(|rise| rise.0 > 0)
                })
        });
        let place = rule.as_ref().map_or_else(
            || "nat POSTROUTING".to_owned(),
            |(title, _, rule)| format!("{title}: {}", rule.text),
        );
        let mut build = found("FL120", Some(step.node), place)
            .severity(Severity::Warning)
            .direction(Direction::Request)
            .confidence(Confidence::Proven)
            .summary(format!(
                "{}: the source {} becomes {} on {} on the way to {}",
                node.map_or_else(|| step.node.to_string(), label),
                path.from,
                one.from,
                step.interface,
                path.to
            ))
            .evidence(format!("{} {}: {}", step.node, step.interface, one.line));
        if let Some((_, program, rule)) = rule {
            if let Some((packets, _)) = rule.rise() {
                build = build.evidence(format!("the rule's counter rose by {packets} packets"));
            }
            if let Some(network) = view.network().filter(|_| program != "nft") {
                build = build
                    .run(format!(
                        "{program} -t nat -I POSTROUTING -s {network} -d {network} -j ACCEPT"
                    ))
                    .fix("for good: Docker with --ip-masq=false, and let the agent masquerade (--ip-masq)");
            }
        }
        all.push(build.done());
    }
    all
}

/// Both Docker and flannel masquerade, and no container's packet showed that it does no harm.
pub fn both(view: &View<'_>) -> Vec<Found> {
    view.case
        .nodes
        .iter()
        .filter(|node| {
            let flannel = node.subnet_env.as_ref().and_then(|env| env.ip_masq) == Some(true);
            let docker = node.docker.as_ref().and_then(|docker| docker.ip_masq) == Some(true);
            flannel && docker && !view.passes(node, &[Hop::ForwardOut])
        })
        .map(|node| {
            found("FL121", node.node, "Docker's ip-masq and FLANNEL_IPMASQ")
                .severity(Severity::Warning)
                .summary(format!(
                    "{}: Docker and flannel both masquerade",
                    label(node)
                ))
                .evidence("FLANNEL_IPMASQ=true, and Docker's default bridge has masquerading on")
                .done()
        })
        .collect()
}
