use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;

use crate::vault::answered;
use crate::{Context, Result, ports};

/// What stands before a server on 127.0.0.1 as a load balancer does: it passes on bytes, TLS among them, and the server sees its address,
/// [`Balancer::ADDRESS`], in place of the client's. It ends when dropped.
#[derive(Debug)]
pub struct Balancer {
    url: String,
    // Its tasks end with it.
    _runtime: Runtime,
}

impl Balancer {
    /// The address that the server sees.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

    /// Starts one before a server: `https://127.0.0.1:PORT`.
    ///
    /// # Panics
    /// When it can't listen, or the server isn't on 127.0.0.1.
    pub fn start(server: &str) -> Self {
        answered(Self::try_start(server))
    }

    fn try_start(server: &str) -> Result<Self> {
        let server = ports::address_of(server)?;
        let what = || "a balancer can't listen on 127.0.0.1".to_owned();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context(what)?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).context(what)?;
        let url = format!("https://{}", listener.local_addr().context(what)?);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Without a connection there is nobody to tell of an error.
                tokio::spawn(pass_on(client, server));
            }
        });
        Ok(Self { url, _runtime: runtime })
    }

    /// Where it listens: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn pass_on(mut client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Balancer::ADDRESS, 0).into())?;
    let mut server = socket.connect(server).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}
