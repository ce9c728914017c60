//! Hosts that only a cluster's own network knows: the names of its services, and addresses that are routed nowhere else.

use std::net::IpAddr;

use url::{Host, Url};

/// What says that a URL's host is known inside of a cluster alone; `None` where nothing does.
pub(crate) fn known_inside(url: &str) -> Option<&'static str> {
    let url = Url::parse(url).ok()?;
    let address: IpAddr = match url.host()? {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            let service = format!("{name}.").contains(".svc.") || is_api_servers(name);
            return service.then_some("the name of a service in the cluster");
        }
        Host::Ipv4(address) => address.into(),
        Host::Ipv6(address) => address.into(),
    };
    let private = match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // 100.64.0.0/10 is what providers use behind their own translation, and some clusters for their pods.
            address.is_private() || address.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    };
    private.then_some("a private address")
}

/// Whether a URL leads to the API server of the cluster that whoever follows it is in.
pub(crate) fn is_the_clusters_own(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.domain().is_some_and(is_api_servers))
}

fn is_api_servers(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].contains(&name)
        || name.starts_with("kubernetes.default.svc.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_cluster_knows_is_told_by_its_name_or_address() {
        for (url, inside, own) in [
            ("https://kubernetes.default.svc.cluster.local", true, true),
            ("https://kubernetes.default.svc:443/openid/v1/jwks", true, true),
            ("https://kubernetes.default", true, true),
            ("https://keys.team.svc/jwks", true, false),
            ("https://keys.team.svc.corp.internal/jwks", true, false),
            ("https://10.96.0.1/openid/v1/jwks", true, false),
            ("https://172.18.0.2:6443/openid/v1/jwks", true, false),
            ("https://100.64.1.1", true, false),
            ("https://[fd00::1]:6443", true, false),
            ("https://oidc.eks.eu-west-1.amazonaws.com/id/0123", false, false),
            ("https://svc.example.com", false, false),
            ("https://127.0.0.1:6443", false, false),
            ("https://8.8.8.8", false, false),
            ("kubernetes/serviceaccount", false, false),
        ] {
            assert_eq!((known_inside(url).is_some(), is_the_clusters_own(url)), (inside, own), "{url}");
        }
    }
}
