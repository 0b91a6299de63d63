"""One origin for browsers: CloudFront in front of the SPA's bucket and of the API."""

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.config import Config
from infra.nag import accept
from infra.routes import API_PATHS
from infra.stacks.api import ApiStack
from pulseboard.web.headers import SPA_HEADERS

_FALLBACK = """\
function handler(event) {
  var request = event.request;
  var last = request.uri.split('/').pop();
  if (last.indexOf('.') === -1) { request.uri = '/index.html'; }
  return request;
}
"""
_KEEP_HOST = """\
function handler(event) {
  var request = event.request;
  request.headers['x-forwarded-host'] = { value: request.headers.host.value };
  request.headers['x-pulseboard-viewer'] = { value: event.viewer.ip };
  return request;
}
"""


_CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"
"""Route 53's zone of all distributions: the same in every account."""


class FrontendStack(cdk.Stack):
    """`url` is the address for browsers. `distribution` is None for an emulator without one."""

    def __init__(self, scope: Construct, name: str, *, config: Config, api: ApiStack) -> None:
        super().__init__(scope, name)
        self.bucket = s3.Bucket(
            self,
            "Spa",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=not config.local,
            # Nothing in it that a deploy does not put there again; `make destroy` empties it.
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        accept(self.bucket, "Holds only the published SPA.", "AwsSolutions-S1")
        if config.local:
            accept(self.bucket, "The emulator speaks HTTP.", "AwsSolutions-S10")
        cdk.CfnOutput(self, "Bucket", value=self.bucket.bucket_name)
        self.distribution: cloudfront.Distribution | None = None
        if config.cdn:
            self.distribution = self._distribution(config, api)
            cdk.CfnOutput(self, "DistributionId", value=self.distribution.distribution_id)
            cdk.CfnOutput(
                self, "DistributionDomain", value=self.distribution.distribution_domain_name
            )
            if config.domain and config.hosted_zone:
                self._records(config.domain, config.hosted_zone, self.distribution)
                cdk.CfnOutput(self, "Records", value="true")
            self.url = self._url(config, self.distribution)
        else:
            self.url = config.public_url
        cdk.CfnOutput(self, "Url", value=self.url)

    def _distribution(self, config: Config, api: ApiStack) -> cloudfront.Distribution:
        headers = self._headers(config.stage)
        forward = self._function("KeepHost", _KEEP_HOST)
        distribution = cloudfront.Distribution(
            self,
            "Cdn",
            comment=f"Pulseboard {config.stage}",
            default_root_object="index.html",
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            web_acl_id=config.web_acl_arn,
            domain_names=[config.domain] if config.domain else None,
            certificate=acm.Certificate.from_certificate_arn(
                self, "Certificate", config.certificate_arn
            )
            if config.certificate_arn
            else None,
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.S3BucketOrigin.with_origin_access_control(
                    self.bucket,
                    origin_access_control=cloudfront.S3OriginAccessControl(
                        self,
                        "Access",
                        origin_access_control_name=f"pulseboard-{config.stage}-{self.region}",
                    ),
                ),
                viewer_protocol_policy=self._protocol(config),
                response_headers_policy=headers,
                compress=True,
                function_associations=[self._function("Fallback", _FALLBACK)],
            ),
            additional_behaviors={
                path: cloudfront.BehaviorOptions(
                    origin=self._api_origin(config, api),
                    viewer_protocol_policy=self._protocol(config, api=True),
                    allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                    cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                    origin_request_policy=(
                        cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER
                    ),
                    response_headers_policy=headers,
                    compress=False,
                    function_associations=[forward],
                )
                for path in API_PATHS
            },
        )
        for rule, why in {
            "AwsSolutions-CFR1": "People sign in from anywhere; a web ACL can restrict it.",
            "AwsSolutions-CFR2": "The web ACL is the context webAclArn: it costs $5 a month.",
            "AwsSolutions-CFR3": "The API has access logs; the SPA's files are public.",
            "AwsSolutions-CFR4": "Without a domain of its own CloudFront's certificate decides.",
            "AwsSolutions-CFR5": "The emulator's API speaks HTTP; on AWS it is HTTPS only.",
        }.items():
            accept(distribution, why, rule)
        return distribution

    def _records(self, domain: str, zone: str, distribution: cloudfront.Distribution) -> None:
        """Aliases, which also a zone's own name can have, and which cost no queries."""
        for kind in ("A", "AAAA"):
            route53.CfnRecordSet(
                self,
                f"Record{kind}",
                hosted_zone_id=zone,
                name=domain,
                type=kind,
                alias_target=route53.CfnRecordSet.AliasTargetProperty(
                    dns_name=distribution.distribution_domain_name, hosted_zone_id=_CLOUDFRONT_ZONE
                ),
            )

    def _url(self, config: Config, distribution: cloudfront.Distribution) -> str:
        name = distribution.distribution_domain_name
        if config.local:
            label = cdk.Fn.select(0, cdk.Fn.split(".", name))
            return f"http://{label}.cloudfront.localhost:{config.local_port}"
        return f"https://{config.domain or name}"

    def _function(self, name: str, code: str) -> cloudfront.FunctionAssociation:
        return cloudfront.FunctionAssociation(
            event_type=cloudfront.FunctionEventType.VIEWER_REQUEST,
            function=cloudfront.Function(
                self,
                name,
                code=cloudfront.FunctionCode.from_inline(code),
                runtime=cloudfront.FunctionRuntime.JS_2_0,
            ),
        )

    def _headers(self, stage: str) -> cloudfront.ResponseHeadersPolicy:
        return cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            # Names of these are the account's, of all its regions.
            response_headers_policy_name=f"pulseboard-{stage}-{self.region}",
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy=SPA_HEADERS["Content-Security-Policy"], override=True
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                frame_options=cloudfront.ResponseHeadersFrameOptions(
                    frame_option=cloudfront.HeadersFrameOption.DENY, override=True
                ),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=(
                        cloudfront.HeadersReferrerPolicy.STRICT_ORIGIN_WHEN_CROSS_ORIGIN
                    ),
                    override=True,
                ),
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=cdk.Duration.days(365),
                    include_subdomains=True,
                    override=True,
                ),
            ),
        )

    def _protocol(self, config: Config, *, api: bool = False) -> cloudfront.ViewerProtocolPolicy:
        if config.local:
            return cloudfront.ViewerProtocolPolicy.ALLOW_ALL
        # A redirected POST would lose its body and has shown its key already.
        return (
            cloudfront.ViewerProtocolPolicy.HTTPS_ONLY
            if api
            else cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS
        )

    def _api_origin(self, config: Config, api: ApiStack) -> cloudfront.IOrigin:
        if config.local:
            stage = api.path.strip("/") or "$default"
            return origins.HttpOrigin(
                "localhost",
                http_port=config.local_port,
                protocol_policy=cloudfront.OriginProtocolPolicy.HTTP_ONLY,
                origin_path=f"/_aws/execute-api/{api.api_id}/{stage}",
            )
        return origins.HttpOrigin(
            api.domain,
            origin_path=api.path,
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
            origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
            custom_headers={"x-pulseboard-edge": api.edge_id},
        )
