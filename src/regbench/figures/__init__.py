"""Pictures, one module for each kind: data in, figure out. Others use `kinds` (`draw`), `choices` (`KINDS`),
`wishes` (`Wishes`) and `style` (`applied`, `encoded`)."""
