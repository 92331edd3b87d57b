"""The API's documentation as a page: made of its OpenAPI description, without scripts and other servers."""

from __future__ import annotations

import json
from html import escape
from typing import Any

DOCS_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;color:light-dark(#16232b,#e6eef1);background:light-dark(#fff,#12191d);
max-width:60rem;margin:2rem auto;padding:0 1rem}
h1,h2{line-height:1.2;overflow-wrap:anywhere}h2{margin-top:2.5rem;border-top:1px solid #8a98a0;padding-top:1rem}
a{color:light-dark(#00596b,#5cc8da)}
code,pre{font:14px/1.4 ui-monospace,monospace;background:light-dark(#eef4f5,#1c262b)}
pre{padding:.8rem}pre,.wide{overflow-x:auto}
table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;padding:.25rem .9rem .25rem 0;
border-bottom:1px solid light-dark(#dde5e8,#3a474e)}
.method{background:#00697d;color:#fff;padding:.1rem .45rem;border-radius:.25rem}
:focus-visible{outline:3px solid light-dark(#b35900,#ffb454)}
"""


def docs_html(openapi: dict[str, Any]) -> str:
    """Make the page."""
    about, schemas = openapi["info"], openapi["components"]["schemas"]
    parts = [
        f"<h1>{escape(about['title'])} API {escape(about['version'])}</h1><p>{escape(about['description'])}</p>",
        '<p>The same for programs: <a href="/api/openapi.json">openapi.json</a>. Every error is '
        "<code>application/problem+json</code> (RFC 9457), with the rows that are wrong.</p>",
    ]
    for path, methods in openapi["paths"].items():
        for method, one in methods.items():
            parts.append(_operation(path, method, one, schemas))
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>ribocast API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="/page/logo.svg"><link rel="stylesheet" href="/api/docs.css"></head>'
        f"<body><main>{body}</main></body></html>"
    )


def _operation(path: str, method: str, one: dict[str, Any], schemas: dict[str, Any]) -> str:
    parts = [f'<h2><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>',
             f"<p>{escape(one.get('description', ''))}</p>"]  # fmt: skip
    where = f"{method.upper()} {path}"
    bodies = one.get("requestBody", {}).get("content", {})
    if options := [field for field in one.get("parameters", []) if field["in"] == "query"]:
        properties = {
            field["name"]: {**field["schema"], "description": field.get("description", "")} for field in options
        }
        parts.append("<h3>Query</h3>" + _fields({"properties": properties}, f"Query of {where}"))
    if taken := bodies.get("application/json", {}).get("schema"):
        schema = _resolve(taken, schemas)
        parts.append("<h3>Takes JSON</h3>" + _fields(schema, f"Body of {where}"))
        for example in schema.get("examples", []):
            text = json.dumps(example, ensure_ascii=False)
            parts.append(_curl(f"-X {method.upper()}", path, "application/json", f" -d '{text}'"))
    if tables := [kind for kind in bodies if kind != "application/json"]:
        parts.append(f"<h3>Or a file</h3><p>{escape(', '.join(tables))}</p>")
        parts.append(_curl("--data-binary @utrs.csv", path, "text/csv"))
    for status, answer in one["responses"].items():
        if status.startswith("2"):
            kinds = answer.get("content", {})
            given = kinds.get("application/json", {}).get("schema")
            also = ", ".join(kind for kind in kinds if kind != "application/json")
            fields = _fields(_resolve(given, schemas), f"Answer {status} of {where}") if given else ""
            parts.append(f"<h3>Gives, {status}</h3>{fields}")
            parts.append(f"<p>Or: {escape(also)}</p>" if also else "")
    others = ", ".join(
        f"{status} ({escape(answer['description'])})"
        for status, answer in one["responses"].items() if not status.startswith("2")
    )  # fmt: skip
    return "\n".join([*parts, f"<p>Or: {others}.</p>"])


def _curl(how: str, path: str, kind: str, data: str = "") -> str:
    command = f"curl {how} http://127.0.0.1:7860{path} -H 'Content-Type: {kind}'{data}"
    return f'<pre tabindex="0">{escape(command)}</pre>'


def _fields(schema: dict[str, Any], label: str) -> str:
    needed = schema.get("required", [])
    rows = []
    for name, field in schema.get("properties", {}).items():
        default = "needed" if name in needed else json.dumps(field.get("default"), ensure_ascii=False)
        rows.append(f"<tr><td><code>{escape(name)}</code></td><td>{escape(_kind(field))}</td>"
                    f"<td>{escape(default)}</td><td>{escape(field.get('description', ''))}</td></tr>")  # fmt: skip
    return ('<div class="wide" tabindex="0" role="region" aria-label="' + escape(label) + '"><table>'
            "<thead><tr><th>field</th><th>kind</th><th>default</th><th>meaning</th></tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table></div>")  # fmt: skip


def _kind(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    if field.get("type") == "array" and "items" in field:
        return f"list of {_kind(field['items'])}"
    return str(field.get("type", "any"))


def _resolve(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    return schemas[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
