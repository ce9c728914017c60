//! A server that passes requests on and keeps the answers, and then gives the same answers again, one of them poisoned.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::runs::Text;

/// What was asked: method and path with its query.
pub type Asked = (String, String);

/// An answer: its status and body.
type Kept = (u16, Vec<u8>);

/// What becomes of the answers to a request.
#[derive(Clone)]
pub enum Fault {
    /// The text at this pointer, or the name of the field there, is another.
    Text { asked: Asked, pointer: String, name: bool, text: String },
    /// Another answer is given.
    Answer { asked: Asked, status: u16, body: String },
}

impl Fault {
    fn asked(&self) -> &Asked {
        match self {
            Self::Text { asked, .. } | Self::Answer { asked, .. } => asked,
        }
    }
}

#[derive(Default)]
struct State {
    replays: bool,
    kept: BTreeMap<Asked, Vec<Kept>>,
    given: BTreeMap<Asked, usize>,
    faults: Vec<Fault>,
}

/// Between `vaultk8s` and a server.
pub struct Tape {
    address: String,
    state: Arc<Mutex<State>>,
    _runtime: Runtime,
}

impl Tape {
    /// Starts one in front of a server with a certificate of this CA.
    pub fn start(server: &str, ca: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let socket = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = format!("http://{}", socket.local_addr().unwrap());
        // Another test may have done it.
        let _done = rustls::crypto::ring::default_provider().install_default();
        let ca = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
        let (state, server) = (Arc::new(Mutex::new(State::default())), server.to_owned());
        let answering = Arc::clone(&state);
        runtime.spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let (state, client, server) = (Arc::clone(&answering), client.clone(), server.clone());
                tokio::spawn(async move {
                    let service = service_fn(async |request| {
                        Ok::<_, Infallible>(answer(&state, &client, &server, request).await)
                    });
                    let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, state, _runtime: runtime }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Keeps what is answered from now on, and nothing of before.
    pub fn record(&self) {
        *self.state.lock().unwrap() = State::default();
    }

    /// Gives from now on what was kept, from the beginning, with these texts poisoned.
    pub fn replay(&self, texts: &[&Text]) {
        let mut state = self.state.lock().unwrap();
        state.replays = true;
        state.given.clear();
        state.faults = texts.iter().map(|text| text.place.clone()).collect();
    }

    /// Whether each request that was kept has come again.
    pub fn was_asked_for_all(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.kept.keys().all(|asked| state.given.contains_key(asked))
    }

    /// What was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().kept.keys().cloned().collect()
    }

    /// Each text and each name in what was answered, without those that only look like one that is there already.
    pub fn texts(&self, asked: &Asked) -> Vec<(String, bool, String)> {
        let state = self.state.lock().unwrap();
        let mut found = BTreeMap::new();
        for (_, body) in &state.kept[asked] {
            if let Ok(value) = serde_json::from_slice(body) {
                collect(&value, "", &mut found);
            }
        }
        found.into_iter().map(|((pointer, name), text)| (pointer, name, text)).collect()
    }
}

/// The texts of a value by their pointers, and the names of its fields by those of their values.
pub fn collect(value: &Value, pointer: &str, found: &mut BTreeMap<(String, bool), String>) {
    match value {
        Value::String(text) => drop(found.insert((pointer.to_owned(), false), text.clone())),
        // What follows is like the first few.
        Value::Array(values) => {
            values.iter().take(2).enumerate().for_each(|(at, value)| collect(value, &format!("{pointer}/{at}"), found));
        }
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| *name != "managedFields") {
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                if name.ends_with('/') || pointer.contains("/annotations/") || pointer.contains("/labels/") {
                    found.insert((pointer.clone(), true), name.clone());
                }
                collect(value, &pointer, found);
            }
        }
        _ => {}
    }
}

/// Puts another text, or another name, at a pointer.
pub fn poison(value: &mut Value, pointer: &str, name: bool, text: &str) {
    if !name {
        if let Some(place) = value.pointer_mut(pointer) {
            *place = text.into();
        }
        return;
    }
    let (parent, old) = pointer.rsplit_once('/').unwrap();
    let old = old.replace("~1", "/").replace("~0", "~");
    if let Some(Value::Object(fields)) = value.pointer_mut(parent)
        && let Some(value) = fields.remove(&old)
    {
        fields.insert(text.to_owned(), value);
    }
}

/// Puts other texts and names at their pointers.
pub fn poison_all<'a>(value: &mut Value, texts: impl IntoIterator<Item = &'a ((String, bool), String)>) {
    let mut texts: Vec<_> = texts.into_iter().collect();
    // A name that is another leads no more to what is below it.
    texts.sort_by_key(|((pointer, name), _)| (*name, std::cmp::Reverse(pointer.len())));
    for ((pointer, name), text) in texts {
        poison(value, pointer, *name, text);
    }
}

async fn answer(
    state: &Mutex<State>,
    client: &reqwest::Client,
    server: &str,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let asked = (request.method().to_string(), request.uri().to_string());
    let given = {
        let mut state = state.lock().unwrap();
        state.replays.then(|| given(&mut state, &asked))
    };
    let (status, body) = if let Some(given) = given {
        given
    } else {
        let kept = pass_on(client, server, request).await;
        state.lock().unwrap().kept.entry(asked).or_default().push(kept.clone());
        kept
    };
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Full::new(Bytes::from(body))).unwrap()
}

fn given(state: &mut State, asked: &Asked) -> Kept {
    let faults = state.faults.iter().filter(|fault| fault.asked() == asked);
    let mut texts = Vec::new();
    for fault in faults {
        match fault {
            Fault::Answer { status, body, .. } => return (*status, body.clone().into_bytes()),
            Fault::Text { pointer, name, text, .. } => texts.push(((pointer.clone(), *name), text.clone())),
        }
    }
    let Some(kept) = state.kept.get(asked) else { return (404, b"{\"errors\":[]}".to_vec()) };
    let count = state.given.entry(asked.clone()).or_default();
    let (status, body) = kept[(*count).min(kept.len() - 1)].clone();
    *count += 1;
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else { return (status, body) };
    // A clock goes on: else what was kept is soon of a server that lags behind.
    if let Some(time) = value.get_mut("server_time_utc") {
        *time = jiff::Timestamp::now().as_second().into();
    } else if texts.is_empty() {
        return (status, body);
    }
    poison_all(&mut value, &texts);
    (status, value.to_string().into_bytes())
}

async fn pass_on(client: &reqwest::Client, server: &str, request: Request<Incoming>) -> Kept {
    let (parts, body) = request.into_parts();
    let mut onward = client.request(parts.method, format!("{server}{}", parts.uri));
    for (name, value) in &parts.headers {
        if !["host", "content-length", "connection", "accept-encoding"].contains(&name.as_str()) {
            onward = onward.header(name, value);
        }
    }
    let body = body.collect().await.unwrap().to_bytes();
    let answer = onward.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}
