"""The GraphQL documents about private gateways; checked as `operations` are."""

_GATEWAY = "id name slug url createdAt zone { id }"

PRIVATE_GATEWAYS = f"query PrivateGateways {{ privateGateways {{ data {{ {_GATEWAY} }} }} }}"
CREATE_PRIVATE_GATEWAY = f"""mutation CreatePrivateGateway($name: String!) {{
  createPrivateGateway(data: {{ name: $name }}) {{ {_GATEWAY} }}
}}"""
UPDATE_PRIVATE_GATEWAY = f"""mutation UpdatePrivateGateway($id: ID!, $name: String!) {{
  updatePrivateGateway(where: {{ id: $id }}, data: {{ name: $name }}) {{ {_GATEWAY} }}
}}"""
DELETE_PRIVATE_GATEWAY = f"""mutation DeletePrivateGateway($id: ID!) {{
  deletePrivateGateway(where: {{ id: $id }}) {{ {_GATEWAY} }}
}}"""
DELETE_ZONE = "mutation DeleteZone($id: ID!) { deleteZone(where: { id: $id }) { id } }"
