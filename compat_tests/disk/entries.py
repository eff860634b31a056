"""What a broker keeps for others to enforce: ACLs, SCRAM credentials, client quotas, in the form of the manifests."""

from typing import Any

from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.enums import AclOperation, AclPermissionType, PatternType, ResourceType
from pykbroker.protocol.messages.describe_acls import DescribeAclsRequest
from pykbroker.protocol.messages.describe_client_quotas import DescribeClientQuotasRequest
from pykbroker.protocol.messages.describe_user_scram_credentials import DescribeUserScramCredentialsRequest

MECHANISMS = {1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}
ANY = 1


def acls(asker: SocketAsker) -> list[dict[str, str]]:
    request = DescribeAclsRequest(
        resource_type_filter=ANY,
        resource_name_filter=None,
        pattern_type_filter=ANY,
        principal_filter=None,
        host_filter=None,
        operation=ANY,
        permission_type=ANY,
    )
    answer = asker.ask(request, 3)
    assert answer.error_code == 0, answer
    found = [
        {
            "resource_type": ResourceType(resource.resource_type).name,
            "name": resource.resource_name,
            "pattern": PatternType(resource.pattern_type).name,
            "principal": acl.principal,
            "host": acl.host,
            "operation": AclOperation(acl.operation).name,
            "permission": AclPermissionType(acl.permission_type).name,
        }
        for resource in answer.resources
        for acl in resource.acls
    ]
    return sorted(found, key=str)


def scram_credentials(asker: SocketAsker) -> dict[str, list[dict[str, Any]]]:
    answer = asker.ask(DescribeUserScramCredentialsRequest(users=None), 0)
    assert answer.error_code == 0, answer
    return {
        row.user: [
            {"mechanism": MECHANISMS[each.mechanism], "iterations": each.iterations} for each in row.credential_infos
        ]
        for row in answer.results
    }


def client_quotas(asker: SocketAsker) -> list[dict[str, Any]]:
    answer = asker.ask(DescribeClientQuotasRequest(components=[], strict=False), 1)
    assert answer.error_code == 0, answer
    found = [
        {
            "entity": {part.entity_type: part.entity_name for part in entry.entity},
            "values": {row.key: row.value for row in entry.values},
        }
        for entry in answer.entries
    ]
    return sorted(found, key=in_order)


def in_order(quota: dict[str, Any]) -> str:
    return str(sorted(quota["entity"].items(), key=str))
