//! A client of the operators' service, for `a2ad push --server`.

use http::HeaderMap;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};

use super::transport::grpc_channel::{GrpcChannel, Received};
use super::transport::status;
use super::{Address, AddressError, ClientSettings, Connections, Credential, Error};
use crate::egress::EgressPolicy;
use crate::pb::admin::client::PushServiceClient;
use crate::pb::admin::{
    Delivery, DiscardDeliveriesRequest, DiscardDeliveriesResponse, GetDeliveryRequest, ListDeliveriesRequest,
    ListDeliveriesResponse, RedeliverDeliveriesRequest, RedeliverDeliveriesResponse,
};
use crate::tls::ClientTls;

/// The most bytes of an answer, as the generated client has it.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Shows a credential with every call.
#[derive(Clone, Debug)]
struct Introduce(HeaderMap);

impl Interceptor for Introduce {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().as_mut().extend(self.0.clone());
        Ok(request)
    }
}

/// `a2ad.admin.v1.PushService` of one server.
#[derive(Clone)]
pub struct PushAdminClient {
    address: Address,
    inner: PushServiceClient<InterceptedService<GrpcChannel, Introduce>>,
}

impl PushAdminClient {
    /// The service at `address`, which is shown a token or key with every call, and connected to with the first. An
    /// `https` address needs `tls`.
    ///
    /// # Errors
    /// When the address or the certificates can't be used; [`Error::Credential`] when the credential would go to another
    /// machine in the clear.
    pub async fn new(
        address: &Address,
        tls: Option<&ClientTls>,
        credential: Option<&Credential>,
    ) -> Result<Self, Error> {
        let connections =
            Connections::open(&ClientSettings::default(), tls, EgressPolicy::unrestricted()).await?;
        let credential = credential.map(|one| one.header(address)).transpose()?;
        let url = address.url();
        let origin = url.parse().map_err(|_| AddressError::of(&url))?;
        let channel = InterceptedService::new(
            GrpcChannel(connections.http2),
            Introduce(credential.into_iter().collect()),
        );
        Ok(Self {
            address: address.clone(),
            inner: PushServiceClient::with_origin(channel, origin),
        })
    }

    fn error(&self, status: &Status, received: &Received) -> Error {
        status::error(
            &self.address.url(),
            status,
            received.is_failure(),
            ("the answer", ANSWER_BYTES_MAX),
        )
    }

    /// One page of deliveries.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn list(&mut self, request: ListDeliveriesRequest) -> Result<ListDeliveriesResponse, Error> {
        let (request, received) = noted(request);
        let answer = self.inner.list_deliveries(request).await;
        Ok(answer
            .map_err(|status| self.error(&status, &received))?
            .into_inner())
    }

    /// One delivery.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn get(&mut self, request: GetDeliveryRequest) -> Result<Delivery, Error> {
        let (request, received) = noted(request);
        let answer = self.inner.get_delivery(request).await;
        Ok(answer
            .map_err(|status| self.error(&status, &received))?
            .into_inner())
    }

    /// Makes deliveries due, one turn of them.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn redeliver(
        &mut self,
        request: RedeliverDeliveriesRequest,
    ) -> Result<RedeliverDeliveriesResponse, Error> {
        let (request, received) = noted(request);
        let answer = self.inner.redeliver_deliveries(request).await;
        Ok(answer
            .map_err(|status| self.error(&status, &received))?
            .into_inner())
    }

    /// Removes deliveries, one turn of them.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn discard(
        &mut self,
        request: DiscardDeliveriesRequest,
    ) -> Result<DiscardDeliveriesResponse, Error> {
        let (request, received) = noted(request);
        let answer = self.inner.discard_deliveries(request).await;
        Ok(answer
            .map_err(|status| self.error(&status, &received))?
            .into_inner())
    }
}

/// A request, and what notes whether the server itself says that it failed.
fn noted<M>(message: M) -> (Request<M>, Received) {
    let (mut request, received) = (Request::new(message), Received::default());
    request.extensions_mut().insert(received.clone());
    (request, received)
}
