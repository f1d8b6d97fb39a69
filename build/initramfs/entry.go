package initramfs

// Types of files in st_mode, inode(7).
const (
	TypeMask   = 0o170000
	TypeFIFO   = 0o010000
	TypeChar   = 0o020000
	TypeDir    = 0o040000
	TypeBlock  = 0o060000
	TypeFile   = 0o100000
	TypeLink   = 0o120000
	TypeSocket = 0o140000
)

// An Entry is one file of an image to be.
type Entry struct {
	Name         string   // without a slash at the beginning or the end
	Mode         uint32   // type and permissions
	Data         []byte   // content, or the target of a link
	Source       *Content // content that is read when the image is written; data is nil then
	UID, GID     uint32
	Group        int    // files of one group that is not 0 are names of one inode
	Major, Minor uint32 // of a device
	Part         Part
}
