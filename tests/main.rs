//! Every test that needs the command, the library as others see it, or real servers: one program, so that it is linked once
//! and its tests share what they start. A file beside this one is a module of it, and `modules.rs` sees that none is
//! forgotten.

#![allow(missing_docs, unreachable_pub, reason = "nothing here is used elsewhere")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests, which fail by panicking")]

// What tests are made with.
mod command;
mod fixture;
mod kubernetes_fixture;
mod signature;
mod stores;
mod team;

// The tests.
mod auth_kubernetes;
mod bare_mounts;
mod bootstrap;
mod bounds;
mod captures;
mod catalogue;
mod child_namespaces;
mod ci_jobs;
mod ci_login;
mod cli;
mod cluster_objects;
mod clusters;
mod commands;
mod config;
mod consent;
mod drift;
mod every_field;
mod external_secrets;
mod fields;
mod found_setups;
mod hostile_surroundings;
mod inputs;
mod inventories;
mod jwt;
mod keys;
mod kubeconfigs;
mod kubernetes;
mod kubernetes_drift;
mod kv_mounts;
mod logins;
mod manage;
mod modules;
mod mount_settings;
mod mounts_by_hand;
mod namespace_selectors;
mod odd_paths;
mod operator_policy;
mod owners;
mod pages;
mod path_help;
mod poison;
mod policy;
mod prune;
mod rates;
mod reach;
mod recipes;
mod reconcile;
mod refusals;
mod rehearse;
mod reliability;
mod render;
mod requests;
mod reviewer;
mod reviewer_elsewhere;
mod schema;
mod several_clusters;
mod several_files;
mod standby;
mod take_over;
mod tasks;
mod tenancy;
mod unmanaged_roles;
mod vault_client;
mod verify_role;
