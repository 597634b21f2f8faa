"""The HTTP face of epochd: routes, schemas, problem documents and figures."""
