//! The operations by name, and sets of them.

use super::admin::{AdminMethod, AdminOperations};

/// An operation of the protocol (specification 5.3). Its name is the same on gRPC and JSON-RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Send Message.
    SendMessage,
    /// Send Streaming Message.
    SendStreamingMessage,
    /// Get Task.
    GetTask,
    /// List Tasks.
    ListTasks,
    /// Cancel Task.
    CancelTask,
    /// Subscribe to Task.
    SubscribeToTask,
    /// Create Push Notification Config.
    CreateTaskPushNotificationConfig,
    /// Get Push Notification Config.
    GetTaskPushNotificationConfig,
    /// List Push Notification Configs.
    ListTaskPushNotificationConfigs,
    /// Delete Push Notification Config.
    DeleteTaskPushNotificationConfig,
    /// Get Extended Agent Card.
    GetExtendedAgentCard,
}

impl Method {
    /// All operations.
    pub const ALL: [Self; 11] = [
        Self::SendMessage,
        Self::SendStreamingMessage,
        Self::GetTask,
        Self::ListTasks,
        Self::CancelTask,
        Self::SubscribeToTask,
        Self::CreateTaskPushNotificationConfig,
        Self::GetTaskPushNotificationConfig,
        Self::ListTaskPushNotificationConfigs,
        Self::DeleteTaskPushNotificationConfig,
        Self::GetExtendedAgentCard,
    ];

    /// The name of the operation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendMessage => "SendMessage",
            Self::SendStreamingMessage => "SendStreamingMessage",
            Self::GetTask => "GetTask",
            Self::ListTasks => "ListTasks",
            Self::CancelTask => "CancelTask",
            Self::SubscribeToTask => "SubscribeToTask",
            Self::CreateTaskPushNotificationConfig => "CreateTaskPushNotificationConfig",
            Self::GetTaskPushNotificationConfig => "GetTaskPushNotificationConfig",
            Self::ListTaskPushNotificationConfigs => "ListTaskPushNotificationConfigs",
            Self::DeleteTaskPushNotificationConfig => "DeleteTaskPushNotificationConfig",
            Self::GetExtendedAgentCard => "GetExtendedAgentCard",
        }
    }

    /// The operation of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    /// True for the two operations that answer with a stream.
    pub fn is_streaming(self) -> bool {
        matches!(self, Self::SendStreamingMessage | Self::SubscribeToTask)
    }
}

/// A set of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations(u16, AdminOperations);

impl Operations {
    /// The words for sets of operations that belong together, beside the names of single ones and `*` for all.
    pub const GROUPS: [(&str, &[Method]); 5] = [
        ("send", &[Method::SendMessage, Method::SendStreamingMessage]),
        (
            "read",
            &[Method::GetTask, Method::ListTasks, Method::SubscribeToTask],
        ),
        ("cancel", &[Method::CancelTask]),
        (
            "push",
            &[
                Method::CreateTaskPushNotificationConfig,
                Method::GetTaskPushNotificationConfig,
                Method::ListTaskPushNotificationConfigs,
                Method::DeleteTaskPushNotificationConfig,
            ],
        ),
        ("extended-card", &[Method::GetExtendedAgentCard]),
    ];

    /// The operations that a word stands for: a group, a name, or `*` for all of the protocol. Those of operators have to be
    /// named.
    pub fn named(word: &str) -> Option<Self> {
        if let Some(operators) = AdminOperations::named(word) {
            return Some(Self(0, operators));
        }
        if word == "*" {
            return Some(Self::of(&Method::ALL));
        }
        let group = Self::GROUPS.iter().find(|(group, _)| *group == word);
        match group {
            Some((_, methods)) => Some(Self::of(methods)),
            None => Method::from_name(word).map(|method| Self::of(&[method])),
        }
    }

    /// These operations.
    pub fn of(methods: &[Method]) -> Self {
        let bits = methods.iter().fold(0, |bits, &method| bits | 1 << method as u16);
        Self(bits, AdminOperations::default())
    }

    /// The operations of both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0, self.1.and(other.1))
    }

    /// Whether an operation is in the set.
    pub fn contains(self, method: Method) -> bool {
        self.0 & (1 << method as u16) != 0
    }

    /// Whether an operation of operators is in the set.
    pub fn contains_admin(self, method: AdminMethod) -> bool {
        self.1.contains(method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_in_one_group() {
        for method in Method::ALL {
            let groups = Operations::GROUPS
                .iter()
                .filter(|(word, _)| Operations::named(word).unwrap().contains(method));
            assert_eq!(groups.count(), 1, "{method:?}");
            assert!(Operations::named("*").unwrap().contains(method));
            assert_eq!(
                Operations::named(method.as_str()),
                Some(Operations::of(&[method])),
                "{method:?}"
            );
        }
        assert_eq!(Operations::named("reads"), None);
        assert_eq!(Operations::named(""), None);
    }

    #[test]
    fn operators_are_named_and_may_do_nothing_else() {
        let all = Operations::named("push-admin").unwrap();
        for method in AdminMethod::ALL {
            let one = Operations::named(method.as_str()).unwrap();
            assert!(
                all.contains_admin(method) && one.contains_admin(method),
                "{method:?}"
            );
            let others = AdminMethod::ALL.into_iter().filter(|&other| other != method);
            assert!(
                others.into_iter().all(|other| !one.contains_admin(other)),
                "{method:?}"
            );
            assert!(!Operations::named("*").unwrap().contains_admin(method));
            assert!(!Operations::of(&Method::ALL).contains_admin(method));
        }
        assert!(Method::ALL.iter().all(|&method| !all.contains(method)));
        let both = all.and(Operations::named("read").unwrap());
        assert!(both.contains(Method::GetTask) && both.contains_admin(AdminMethod::GetDelivery));
    }
}
