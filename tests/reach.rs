//! The way to a server: through which proxies it goes, and whose certificates are accepted on it.

mod certificates;
mod pinned;
mod proxies;
