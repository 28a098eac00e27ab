"""Streamlit looks through every installed package for components whenever a page or a server begins: half a second.

They do not change while tests run, so a process that imports this looks once.
"""

from functools import cache

from streamlit.components.v2 import manifest_scanner

components = manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
