//! Logins for which there is no token from here.

use crate::verify::scene::RoleScene;

/// Why there is no token to log in with, where no cluster gives one.
pub(super) fn no_token(scene: &RoleScene) -> String {
    match (&scene.not_for_it, &scene.mount.cluster.issuer) {
        (Some(why), _) => format!("not tried: the token that was brought along is not for it: {why}"),
        (None, Some(issuer)) => {
            format!("not tried: no cluster is asked for tokens of {issuer}; one of a consumer's proves it (--jwt-file FILE)")
        }
        (None, None) => {
            "there is no token to log in with: the cluster can't be reached from here; one of a consumer's proves it (--jwt-file FILE)"
                .to_owned()
        }
    }
}
