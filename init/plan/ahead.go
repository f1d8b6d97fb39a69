package plan

import (
	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/modload"
)

// ahead lists what can be loaded before the root is known for certain: what the plan says and,
// where it leaves the root to DHCP, what the image was built for.
func (p Plan) ahead() []modload.Request {
	maybeISCSI := p.Attaches()
	maybeNFS := p.Root.Kind == rootfs.KindNFS
	block := p.Root.Kind == rootfs.KindBlock
	if p.Root.NeedsRootPath() && p.Root.Kind != rootfs.KindNFS {
		nfs := p.has("nfs") || p.has("nfs3") || p.has("nfs4")
		// One of them in the image: that is the one. Both: wait for DHCP.
		maybeISCSI = p.has("iscsi") && !nfs
		maybeNFS = nfs && !p.has("iscsi")
		block = maybeISCSI
	}
	var ahead []modload.Request
	if maybeISCSI {
		ahead = append(ahead, Requests("iscsi", modload.StageStorage)...)
	}
	if maybeNFS {
		ahead = append(ahead, p.nfsAhead()...)
	}
	if block {
		if fstype := p.fsAhead(); fstype != "" {
			ahead = append(ahead, Requests(fstype, modload.StageFilesystem)...)
		}
	}
	return ahead
}

// Requests are the names of modules by which to ask the loader, in order, each once.
func Requests(profile string, stage modload.Stage) []modload.Request {
	p, ok := modload.LookupProfile(profile)
	if !ok {
		return nil
	}
	return p.At(stage)
}

// nfsAhead is the module of the first version that will be tried: those that the image does not
// hold are skipped. RDMA has a module of its own.
func (p Plan) nfsAhead() []modload.Request {
	list := p.nfsVersionAhead()
	if p.Root.NFS.RDMA() && p.has("rdma") {
		list = append(list, Requests("rdma", modload.StageStorage)...)
	}
	return list
}

func (p Plan) nfsVersionAhead() []modload.Request {
	for _, v := range p.Root.NFS.Versions {
		profile := "nfs4"
		if v == rootfs.NFS3 {
			profile = "nfs3"
		}
		if p.has(profile) || p.has("nfs") {
			return Requests(profile, modload.StageStorage)
		}
	}
	return nil
}

// fsAhead is the file system of the root as far as it is known: by rootfstype=, or because the
// image has only one.
func (p Plan) fsAhead() string {
	if p.Root.FSType != "" {
		return p.Root.FSType
	}
	only := ""
	for _, name := range p.Modules.Profiles {
		profile, ok := modload.LookupProfile(name)
		if !ok || len(profile.At(modload.StageFilesystem)) == 0 || name == "overlay" {
			continue
		}
		if only != "" {
			return ""
		}
		only = name
	}
	return only
}
