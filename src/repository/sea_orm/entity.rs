//! The tables as SeaORM entities, with finders that demand a scope.

/// What listings and guards know about a task.
pub(super) mod task {
    use sea_orm::entity::prelude::*;

    use crate::context::Scope;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "task")]
    pub(in crate::repository) struct Model {
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub id: String,
        #[sea_orm(column_type = "Text")]
        pub agent: String,
        #[sea_orm(column_type = "Text")]
        pub owner: String,
        #[sea_orm(column_type = "Text")]
        pub context_id: String,
        pub state: i64,
        pub status_ms: i64,
        pub created_ms: i64,
        pub generation: i64,
        pub epoch: i64,
        pub snapshot_generation: i64,
        pub message: i64,
        pub attempt: i64,
        pub lease_until_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(in crate::repository) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Entity {
        /// The tasks that a caller may see.
        pub(in crate::repository) fn visible(scope: &Scope) -> Select<Self> {
            Self::find()
                .filter(Column::Agent.eq(&*scope.agent))
                .filter(Column::Owner.eq(scope.owner.as_str()))
        }
    }
}

/// Which task an idempotency key belongs to.
pub(super) mod idempotency_key {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency_key")]
    pub(in crate::repository) struct Model {
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub agent: String,
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub owner: String,
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub key: String,
        #[sea_orm(column_type = "Text")]
        pub task_id: String,
        pub fingerprint: Vec<u8>,
        pub created_ms: i64,
        pub expires_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(in crate::repository) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The push notification configurations of tasks.
pub(super) mod push_config {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "push_config")]
    pub(in crate::repository) struct Model {
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub task_id: String,
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub id: String,
        pub config: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(in crate::repository) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
