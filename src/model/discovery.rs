//! How a cluster lets everybody read its issuer and keys.

/// The command that lets anybody who reaches the API server read issuer and keys. Both are public by nature, and yet it
/// is the cluster's owner who decides.
pub const OPEN_DISCOVERY: &str = "kubectl create clusterrolebinding service-account-issuer-discovery-unauthenticated \
                       --clusterrole=system:service-account-issuer-discovery --group=system:unauthenticated";
