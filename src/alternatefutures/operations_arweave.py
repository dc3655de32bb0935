"""The GraphQL documents about Arweave; checked as `operations` are."""

_STANDING = "ref state detail"

ARWEAVE_COST = """query ArweaveCost($cid: String!, $name: String) {
  arweaveCost(where: { cid: $cid }, data: { name: $name }) { amount unit ar }
}"""
ARWEAVE_STANDING = f"""query ArweaveStanding($ref: String!) {{
  arweaveStanding(where: {{ ref: $ref }}) {{ {_STANDING} }}
}}"""
STORE_ON_ARWEAVE = f"""mutation StoreOnArweave($cid: String!, $name: String, $costMax: String) {{
  storeOnArweave(where: {{ cid: $cid }}, data: {{ name: $name, costMax: $costMax }}) {{
    cid url manifestId files {{ path id }} standing {{ {_STANDING} }}
  }}
}}"""
