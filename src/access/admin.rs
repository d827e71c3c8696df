//! The operations of operators, which are none of the protocol, and sets of them.

/// An operation of `a2ad.admin.v1.PushService`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdminMethod {
    /// List Deliveries.
    ListDeliveries,
    /// Get Delivery.
    GetDelivery,
    /// Redeliver Deliveries.
    RedeliverDeliveries,
    /// Discard Deliveries.
    DiscardDeliveries,
}

impl AdminMethod {
    /// All operations.
    pub const ALL: [Self; 4] = [
        Self::ListDeliveries,
        Self::GetDelivery,
        Self::RedeliverDeliveries,
        Self::DiscardDeliveries,
    ];

    /// The word for all of them in a role.
    pub const GROUP: &'static str = "push-admin";

    /// The name of the operation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ListDeliveries => "ListDeliveries",
            Self::GetDelivery => "GetDelivery",
            Self::RedeliverDeliveries => "RedeliverDeliveries",
            Self::DiscardDeliveries => "DiscardDeliveries",
        }
    }

    /// The operation of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// A set of operators' operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AdminOperations(u8);

impl AdminOperations {
    /// The operations that a word stands for: the group or a name. `*` is none of them: who may do everything with tasks
    /// is no operator yet.
    pub(super) fn named(word: &str) -> Option<Self> {
        if word == AdminMethod::GROUP {
            return Some(Self::of(&AdminMethod::ALL));
        }
        AdminMethod::from_name(word).map(|method| Self::of(&[method]))
    }

    fn of(methods: &[AdminMethod]) -> Self {
        Self(methods.iter().fold(0, |bits, &method| bits | 1 << method as u8))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn contains(self, method: AdminMethod) -> bool {
        self.0 & (1 << method as u8) != 0
    }
}
