use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::StatusCode;

use crate::Authority;
use crate::passage::{Alter, Fate, Passage};
use crate::vault::answered;

/// What becomes of a login on its way to Vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoginFault {
    /// Nothing: Vault answers it.
    #[default]
    None,
    /// The connection ends, and Vault never sees it.
    Reset,
    /// Vault makes the login, and the connection ends before its answer.
    Lost,
    /// Something in between answers with this status and page.
    Page(u16, &'static str),
    /// The first login is Vault's to answer; after it, something in between answers with this status and page.
    LaterPage(u16, &'static str),
    /// What answers speaks as Vault does: this status, with this as its only error.
    Says(u16, &'static str),
}

/// What passes requests on to a Vault, and does something to logins. It ends when dropped.
#[derive(Debug)]
pub struct BrokenLogins {
    passage: Passage,
    fault: Arc<Fault>,
}

#[derive(Debug, Default)]
struct Fault(Mutex<LoginFault>);

impl BrokenLogins {
    /// Starts one in front of the Vault at this address. It has its certificate from the authority that Vault's is from.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(vault: &str, authority: &Authority) -> Self {
        let fault = Arc::new(Fault::default());
        Self { passage: answered(Passage::start(vault, authority, Arc::clone(&fault))), fault }
    }

    /// Where it listens, for `VAULT_ADDR`: `https://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.passage.address()
    }

    /// Lets this become of every login from now on.
    pub fn set(&self, fault: LoginFault) {
        *self.fault.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

impl Alter for Fault {
    fn fate(&self, path: &str) -> Fate {
        if !(path.starts_with("/v1/auth/") && path.ends_with("/login")) {
            return Fate::PassedOn;
        }
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = *fault;
        if let LoginFault::LaterPage(status, page) = now {
            *fault = LoginFault::Page(status, page);
        }
        match now {
            LoginFault::None | LoginFault::LaterPage(..) => Fate::PassedOn,
            LoginFault::Reset => Fate::Cut { seen: false },
            LoginFault::Lost => Fate::Cut { seen: true },
            LoginFault::Page(status, page) => Fate::Answered(answer(status, "text/html", page.to_owned())),
            LoginFault::Says(status, error) => {
                let body = serde_json::json!({ "errors": [error] }).to_string();
                Fate::Answered(answer(status, "application/json", body))
            }
        }
    }
}

fn answer(status: u16, kind: &'static str, body: String) -> Response<Full<hyper::body::Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
