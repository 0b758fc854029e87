"""Looking: the one service that every face asks, and the values it answers with.

`service` asks the store, the other modules turn its rows into what people and APIs see: ids as
UUID text, instants as canonical text, hashes as hex, payloads with their source marks. Nothing
here writes, and nobody but this folder turns rows into views.
"""
