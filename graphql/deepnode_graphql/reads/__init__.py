"""The queries behind the API's lists: each reads one noun of the books out of the request's transaction."""
