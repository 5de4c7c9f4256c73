"""Words that decide whether something with dots in it is a domain name."""

from __future__ import annotations


def words(text: str) -> list[str]:
    """The words of a text: long lists of names are easier to read without their quotes."""
    return text.split()


# A last label that is a file's extension (or a method's name) far more often than a top-level domain.
FILE_EXTENSIONS = frozenset(
    words(
        "exe dll sys drv ocx cpl scr bat cmd ps1 psm1 psd1 vbs vbe js jse wsf hta lnk msi msp inf ini cfg "
        "conf config cnf log txt dat db tmp bak old xml json yml yaml csv doc docx docm xls xlsx xlsm ppt "
        "pptx pdf rtf zip rar gz tgz bz2 xz tar iso img vhd bin elf so deb rpm jar war class php php3 php5 "
        "phtml asp aspx ashx asmx jsp jspx cgi cfm html htm shtml css png jpg jpeg gif ico svg bmp woff ttf "
        "mp3 mp4 avi service timer socket target etl evtx pem crt cer pfx p12 pcap key pub lock pid swp part "
        "sct ade adp mde chm reg url tlb manifest rules list object get put post head delete copy permission"
    )
)

# Second labels under which names are registered in country domains (`example.co.uk`).
SECOND_LEVEL = frozenset(words("co com net org gov edu ac or ne go gob mil"))
