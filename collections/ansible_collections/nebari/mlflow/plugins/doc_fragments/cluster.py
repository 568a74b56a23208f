# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""How modules reach a cluster: the options of kubernetes.core, less the two that Helm does not have."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that reach a cluster, as kubernetes.core names them."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Kubeconfig file, or its content as a mapping. Defaults to E(K8S_AUTH_KUBECONFIG), then E(KUBECONFIG), then
        C(~/.kube/config), then a pod's own service account.
    type: raw
  context:
    description: Context of the kubeconfig. Defaults to E(K8S_AUTH_CONTEXT), then to its current context.
    type: str
  host:
    description: URL of the API server. Defaults to E(K8S_AUTH_HOST), then to that of the context.
    type: str
  api_key:
    description: Bearer token. Defaults to E(K8S_AUTH_API_KEY).
    type: str
  username:
    description: User name for basic authentication. Defaults to E(K8S_AUTH_USERNAME).
    type: str
  password:
    description: Password for basic authentication. Defaults to E(K8S_AUTH_PASSWORD).
    type: str
  validate_certs:
    description: Whether to verify the API server's certificate. Defaults to E(K8S_AUTH_VERIFY_SSL), then to yes.
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description: File with the certificate authority of the API server. Defaults to E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description: File with a client certificate. Defaults to E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description: File with the key of O(client_cert). Defaults to E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description: URL of a proxy to the API server. Defaults to E(K8S_AUTH_PROXY).
    type: str
  no_proxy:
    description: Hosts, separated by commas, that need no O(proxy). Defaults to E(K8S_AUTH_NO_PROXY).
    type: str
  impersonate_user:
    description: User to act as. Defaults to E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description: Groups to act as. Defaults to E(K8S_AUTH_IMPERSONATE_GROUPS), separated by commas.
    type: list
    elements: str
"""

    RELEASE = r"""
options:
  name:
    description: Name of the release.
    type: str
    required: true
  namespace:
    description: Namespace of the release.
    type: str
    required: true
"""
