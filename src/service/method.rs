//! The operations by name.

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
