from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport atoi, qsort
from libc.string cimport memchr, memcmp, memcpy, memmove, memset, strchr, strcmp, strcspn, strlen, strncmp
from posix.types cimport pid_t

from columns cimport *
from layout cimport *
from pg.base cimport *
from pg.errors cimport *
from pg.executor cimport *
from pg.files cimport *
from pg.process cimport *
from pg.progress cimport *
from pg.session cimport *
from pg.shared cimport *
from pg.spi cimport *
from pg.types cimport *
