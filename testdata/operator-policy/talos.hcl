# What vaultk8s needs for one configuration, and nothing else. It belongs into the namespace that the
# configuration is for: `vault policy write vaultk8s-operator FILE`.

## To plan and to bootstrap.

# See which auth mounts there are.
path "sys/auth" {
  capabilities = ["read"]
}

# Ask whether secret/ is KV version 1 or 2.
path "sys/mounts/secret" {
  capabilities = ["read"]
}

# Enable the auth mount of taloslmn.
path "sys/auth/jwt-taloslmn" {
  capabilities = ["update", "sudo"]
}

# Record which keys taloslmn publishes, and set the mount's description.
path "sys/mounts/auth/jwt-taloslmn/tune" {
  capabilities = ["update"]
}

# Compare and write its configuration: what tells tokens of taloslmn from others.
path "auth/jwt-taloslmn/config" {
  capabilities = ["read", "update"]
}

# Compare and write the role r-eso_minio-jwt-taloslmn-read.
path "auth/jwt-taloslmn/role/r-eso_minio-jwt-taloslmn-read" {
  capabilities = ["create", "read", "update"]
}

# Compare and write the role r-eso_velero-jwt-taloslmn-read.
path "auth/jwt-taloslmn/role/r-eso_velero-jwt-taloslmn-read" {
  capabilities = ["create", "read", "update"]
}

# Compare and write the role r-eso-jwt-taloslmn-read.
path "auth/jwt-taloslmn/role/r-eso-jwt-taloslmn-read" {
  capabilities = ["create", "read", "update"]
}

# Compare and write the policy p-k8s_taloslmn_eso-read.
path "sys/policies/acl/p-k8s_taloslmn_eso-read" {
  capabilities = ["read", "update"]
}

## To verify roles whose tokens can't ask about themselves, or may not end themselves.

# Ask what a login may do, where it may not itself or has no use to spare.
path "sys/capabilities-accessor" {
  capabilities = ["update"]
}

## To see all that is there, in few requests. Nothing fails without these.

# Know what every login may do besides.
path "sys/policies/acl/default" {
  capabilities = ["read"]
}

# Read all policies in one request (OpenBao).
path "sys/policies/detailed/acl" {
  capabilities = ["list"]
}

# See which policies there are.
path "sys/policies/acl" {
  capabilities = ["list"]
}

# See what others wrote, also through a standby that has not heard of it yet (OpenBao).
path "sys/ha-status" {
  capabilities = ["read"]
}

# See which roles there are.
path "auth/jwt-taloslmn/role" {
  capabilities = ["list"]
}

# See which roles of auth/jwt-taloslmn other owners wrote.
path "sys/policies/acl/vaultk8s-inventory/+/jwt-taloslmn" {
  capabilities = ["read"]
}

# See which roles of auth/jwt-taloslmn other owners wrote.
path "sys/policies/acl/vaultk8s-inventory/+/jwt-taloslmn:*" {
  capabilities = ["read"]
}

# See which CEL roles there are (OpenBao).
path "auth/jwt-taloslmn/cel/role" {
  capabilities = ["list"]
}

# See whom roles beside those of the configuration let in.
path "auth/jwt-taloslmn/role/*" {
  capabilities = ["read"]
}
