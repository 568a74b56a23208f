# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the modules of all clouds document alike. A fragment may hold no return values: a test keeps those equal."""

from __future__ import annotations


class ModuleDocFragment:
    RESOURCE = r"""
notes:
  - In check mode no write call is made, and RV(changes) are what a run would then do. An object that another object
    needs may still be missing then; it counts as one that an earlier task of the play creates.
options:
  state:
    description: Whether the object exists.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Reads only, and predicts every change.
    support: full
  diff_mode:
    description: Shows what this module manages, before and after.
    support: full
"""

    LOOK = r"""
notes:
  - Makes no write call. With O(state=present) it reads all that the role's tasks read, so that a missing permission,
    another owner or a wrong name ends the play before the first change.
options:
  namespace:
    description: Kubernetes namespace of the service account.
    type: str
    required: true
  state:
    description: What the role is about to do. With V(absent), only ownership and what a removal needs is read.
    type: str
    choices: [present, absent]
    default: present
  delete_data:
    description: Whether a removal also deletes the data.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
"""

    GCP = r"""
notes:
  - Credentials are E(GCP_ACCESS_TOKEN), E(GOOGLE_CREDENTIALS), E(GCP_SERVICE_ACCOUNT_CONTENTS) or
    E(GCP_SERVICE_ACCOUNT_FILE) (each a key or the path of its file), or the application default ones.
    E(GCP_AUTH_KIND) chooses a kind, as for the collection google.cloud.
requirements:
  - google-auth >= 2.20
  - requests >= 2.20
options:
  cloud_project:
    description: Id of the Google Cloud project.
    type: str
    required: true
"""

    AWS = r"""
notes:
  - Credentials and proxy are found as by the AWS CLI, in the environment, a profile or the machine's own role.
requirements:
  - boto3 >= 1.34.63
options:
  region:
    description: Region of AWS.
    type: str
    required: true
"""

    AZURE = r"""
notes:
  - Credentials are a service principal from E(ARM_CLIENT_ID), E(ARM_CLIENT_SECRET), E(ARM_TENANT_ID), from the same
    variables of Azure's SDKs or of azure.azcollection (E(AZURE_CLIENT_ID), E(AZURE_SECRET), E(AZURE_TENANT)), from the
    section E(AZURE_PROFILE) of C(~/.azure/credentials), or what azure-identity finds, such as C(az login) or a managed
    identity.
  - For Azure Government and Azure in China, set E(ARM_ENVIRONMENT) to V(usgovernment) or V(china), or
    E(AZURE_CLOUD_ENVIRONMENT) to V(AzureUSGovernment) or V(AzureChinaCloud).
requirements:
  - azure-identity >= 1.16.1
  - azure-mgmt-core >= 1.4
options:
  subscription_id:
    description: Id of the subscription. Defaults to E(ARM_SUBSCRIPTION_ID), then to E(AZURE_SUBSCRIPTION_ID).
    type: str
"""
