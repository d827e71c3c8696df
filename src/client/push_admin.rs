//! A client of the operators' service, for `a2ad push --server`.

use super::{Address, Credential, Error, Introduced, connected};
use crate::pb::admin::client::PushServiceClient;
use crate::pb::admin::{
    Delivery, DiscardDeliveriesRequest, DiscardDeliveriesResponse, GetDeliveryRequest, ListDeliveriesRequest,
    ListDeliveriesResponse, RedeliverDeliveriesRequest, RedeliverDeliveriesResponse,
};
use crate::tls::ClientTls;

/// A connection to `a2ad.admin.v1.PushService` of one server.
#[derive(Clone, Debug)]
pub struct PushAdminClient {
    inner: PushServiceClient<Introduced>,
}

impl PushAdminClient {
    /// Connects, and shows a token or key with every call. An `https` address needs `tls`.
    ///
    /// # Errors
    /// When the address, the certificates or the server are not there; [`Error::Credential`] when the credential would go
    /// to another machine in the clear.
    pub async fn connect_as(
        address: &Address,
        tls: Option<&ClientTls>,
        credential: Option<&Credential>,
    ) -> Result<Self, Error> {
        let channel = connected(address, tls, credential).await?;
        Ok(Self {
            inner: PushServiceClient::new(channel),
        })
    }

    /// One page of deliveries.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn list(&mut self, request: ListDeliveriesRequest) -> Result<ListDeliveriesResponse, Error> {
        Ok(self.inner.list_deliveries(request).await?.into_inner())
    }

    /// One delivery.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn get(&mut self, request: GetDeliveryRequest) -> Result<Delivery, Error> {
        Ok(self.inner.get_delivery(request).await?.into_inner())
    }

    /// Makes deliveries due, one turn of them.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn redeliver(
        &mut self,
        request: RedeliverDeliveriesRequest,
    ) -> Result<RedeliverDeliveriesResponse, Error> {
        Ok(self.inner.redeliver_deliveries(request).await?.into_inner())
    }

    /// Removes deliveries, one turn of them.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn discard(
        &mut self,
        request: DiscardDeliveriesRequest,
    ) -> Result<DiscardDeliveriesResponse, Error> {
        Ok(self.inner.discard_deliveries(request).await?.into_inner())
    }
}
