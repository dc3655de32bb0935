"""The stylesheet, the icon and the scripts of the pages, as files of this package."""
